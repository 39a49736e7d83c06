package xmlrpc

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// discarder is a response that nobody reads.
type discarder http.Header

func (d discarder) Header() http.Header         { return http.Header(d) }
func (d discarder) WriteHeader(int)             {}
func (d discarder) Write(b []byte) (int, error) { return len(b), nil }

// again returns a function that sends the same call each time.
func again(h http.Handler, doc []byte) func() {
	body := strings.NewReader(string(doc))
	r := httptest.NewRequest("POST", "/", nil)
	r.Body, r.ContentLength = io.NopCloser(body), int64(len(doc))
	w := make(discarder)
	return func() {
		body.Reset(string(doc))
		h.ServeHTTP(w, r)
	}
}

// hundred is a list of a hundred names.
func hundred() []any {
	list := make([]any, 100)
	for i := range list {
		list[i] = "somebody"
	}
	return list
}

func BenchmarkCall(b *testing.B) {
	h := handler(b, everybody)
	login := structure{{"user", "ana"}, {"server", "localhost"}, {"password", "anchor"}}
	for _, bb := range []struct {
		name string
		doc  []byte
	}{
		{"number", document("connected_users_number")},
		{"login", document("registered_users", login, structure{{"host", "localhost"}})},
		{"answer of 100", document("everybody")},
		{"list of 100", document("strings", structure{{"v", hundred()}})},
	} {
		b.Run(bb.name, func(b *testing.B) {
			call := again(h, bb.doc)
			b.ReportAllocs()
			for b.Loop() {
				call()
			}
		})
	}
}

func BenchmarkDecode(b *testing.B) {
	for _, bb := range []struct {
		name string
		doc  []byte
	}{
		{"number", document("connected_users_number")},
		{"list of 100", document("strings", structure{{"v", hundred()}})},
	} {
		b.Run(bb.name, func(b *testing.B) {
			d := new(decoder)
			b.ReportAllocs()
			b.SetBytes(int64(len(bb.doc)))
			for b.Loop() {
				if _, err := d.decode(bb.doc); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
