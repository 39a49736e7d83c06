package api

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

// discarder is a response that nobody reads.
type discarder http.Header

func (d discarder) Header() http.Header         { return http.Header(d) }
func (d discarder) WriteHeader(int)             {}
func (d discarder) Write(b []byte) (int, error) { return len(b), nil }

// again returns a function that makes the same request each time.
func again(h http.Handler, method, path, doc string, header ...string) func() {
	body := strings.NewReader(doc)
	r := request(method, path, "", header...)
	r.Body, r.ContentLength = io.NopCloser(body), int64(len(doc))
	w := make(discarder)
	return func() {
		body.Reset(doc)
		h.ServeHTTP(w, r)
	}
}

// hundred is the arguments with a list of a hundred names.
var hundred = `{"v":["somebody"` + strings.Repeat(`,"somebody"`, 99) + `]}`

func BenchmarkCall(b *testing.B) {
	h := handler(b, everybody)
	for _, bb := range []struct {
		name string
		call func()
	}{
		{"number", again(h, http.MethodPost, "connected_users_number", "{}")},
		{"number by GET", again(h, http.MethodGet, "connected_users_number", "")},
		{"arguments", again(h, http.MethodPost, "registered_users", `{"host":"localhost"}`)},
		{"arguments by GET", again(h, http.MethodGet, "registered_users?host=localhost", "")},
		{"password", again(h, http.MethodPost, "registered_users", `{"host":"localhost"}`, basic("ana@localhost", "anchor: off")...)},
		{"token", again(h, http.MethodPost, "registered_users", `{"host":"localhost"}`, "Authorization", "Bearer tide")},
		{"list of 100", again(h, http.MethodPost, "echo_strings", hundred)},
		{"description", again(h, http.MethodGet, documentName, "")},
	} {
		b.Run(bb.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				bb.call()
			}
		})
	}
}

func BenchmarkParse(b *testing.B) {
	for _, bb := range []struct{ name, doc string }{
		{"three", `{"user":"ana","host":"localhost","password":"anchor"}`},
		{"list of 100", hundred},
	} {
		b.Run(bb.name, func(b *testing.B) {
			doc := []byte(bb.doc)
			b.ReportAllocs()
			b.SetBytes(int64(len(doc)))
			for b.Loop() {
				if _, err := parse(doc); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
