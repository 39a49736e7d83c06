package bosh_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

func xepItoa(n int) string { return strconv.Itoa(n) }

// What HTTP has to do with it.
// See XEP-0124, section 5.
var xepHTTP = []xepRow{
	{"5 any Content-Type of a request", func(r *xepRig) {
		for _, kind := range []string{"text/plain", "application/x-www-form-urlencoded", "text/xml", "application/xml; charset=utf-8", "text/html", "multipart/form-data; boundary=x", "x", "application/json", "text/xml; charset=iso-8859-1", "text/xml; charset=x"} {
			r.session(r.post("Content-Type: "+kind+"\r\n", r.creation(nil)).answer())
		}
	}},
	{"5 no Content-Type of a request", func(r *xepRig) {
		body := r.creation(nil)
		r.session(r.write("POST " + r.path + " HTTP/1.1\r\nHost: " + r.domain + "\r\nContent-Length: " + xepItoa(len(body)) + "\r\n\r\n" + body).answer())
	}},
	{"5 header fields that it does not know", func(r *xepRig) {
		r.session(r.post("X-Unknown: 1\r\nCookie: a=b\r\nReferer: http://x.example/\r\n", r.creation(nil)).answer())
	}},
	{"5 answers say how long they are", func(r *xepRig) {
		s := r.login("bo", nil)
		answers := []*xepAnswer{s.created, s.send(nil, xepMessage(s.jid, strings.Repeat("x", 20000))).answer().wantOK()}
		for _, a := range append(answers, s.sendAt(s.rid+50, nil, "").answer()) {
			if a.chunked || a.size < 0 {
				r.t.Errorf("got an answer that is chunked or of %d bytes, want Content-Length", a.size)
			}
		}
	}},
	{"5 a chunked request", func(r *xepRig) {
		body := r.creation(nil)
		var b strings.Builder
		for part := range slices.Chunk([]byte(body), 7) {
			fmt.Fprintf(&b, "%x\r\n%s\r\n", len(part), part)
		}
		r.session(r.write("POST " + r.path + " HTTP/1.1\r\nHost: " + r.domain + "\r\nTransfer-Encoding: chunked\r\n\r\n" + b.String() + "0\r\n\r\n").answer())
	}},
	{"5 HTTP/1.0", func(r *xepRig) {
		body := r.creation(nil)
		a := r.write("POST " + r.path + " HTTP/1.0\r\nHost: " + r.domain + "\r\nContent-Length: " + xepItoa(len(body)) + "\r\n\r\n" + body).answer()
		if r.session(a); a.chunked {
			r.t.Error("got a chunked answer")
		}
	}},
	{"5 requests on one connection", func(r *xepRig) {
		k := r.keep()
		s := r.session(k.exchange("", r.creation(nil)))
		s.find(xepNSStreams, "features")
		for range 3 {
			s.rid++
			if a := k.exchange("", s.body(s.rid, nil, xepPlain("ana", "wrong"))).wantOK(); a.body.child(xepNSSASL, "failure") == nil {
				r.t.Errorf("got %v, want a failure", a)
			}
		}
	}},
	{"18.1 pipelined requests", func(r *xepRig) {
		s := r.login("bo", xepAttrs{"wait": "2"})
		k := r.keep()
		k.write("", s.body(s.rid+1, nil, xepMessage(s.jid, "1")))
		k.write("", s.body(s.rid+2, nil, xepMessage(s.jid, "2")))
		if got := append(k.read().wantOK().texts(), k.read().wantOK().texts()...); fmt.Sprint(got) != "[1 2]" {
			r.t.Errorf("got messages %q, want 1 and 2", got)
		}
	}},
	{"14.3 half a request", func(r *xepRig) {
		s := r.login("bo", nil)
		body := s.body(s.rid+1, nil, xepMessage(s.jid, "1"))
		half := r.write("POST " + r.path + " HTTP/1.1\r\nHost: " + r.domain + "\r\nContent-Length: " + xepItoa(len(body)) + "\r\n\r\n" + body[:len(body)/2])
		half.hangUp()
		s.send(nil, xepMessage(s.jid, "1")).wantTexts("1")
	}},
	{"5 no compression without Accept-Encoding", func(r *xepRig) {
		if a := r.initiate(nil); a.header.Get("Content-Encoding") != "" {
			r.t.Errorf("got Content-Encoding %q, want none", a.header.Get("Content-Encoding"))
		}
	}},
	{"5 compression that was asked for", func(r *xepRig) {
		for _, accept := range []string{"gzip", "gzip, deflate", "deflate, gzip;q=0.5", "br", "*"} {
			a := r.post("Accept-Encoding: "+accept+"\r\n", r.creation(nil)).answer()
			got := a.header.Get("Content-Encoding")
			if got != "" && (got != "gzip" || !strings.Contains(accept, "gzip") && accept != "*") {
				r.t.Errorf("Accept-Encoding %q: got Content-Encoding %q", accept, got)
			}
			r.session(a)
		}
	}},
	{"5 compression of a large answer", func(r *xepRig) {
		s := r.login("bo", nil)
		text := strings.Repeat("x", 20000)
		s.rid++
		r.post("Accept-Encoding: gzip\r\n", s.body(s.rid, nil, xepMessage(s.jid, text))).wantTexts(text)
	}},
	{"5 compression that was refused", func(r *xepRig) {
		for _, accept := range []string{"gzip;q=0", "identity", "gzip;q=0, identity", ""} {
			if a := r.post("Accept-Encoding: "+accept+"\r\n", r.creation(nil)).answer(); a.header.Get("Content-Encoding") != "" {
				r.t.Errorf("Accept-Encoding %q: got Content-Encoding %q, want none", accept, a.header.Get("Content-Encoding"))
			}
		}
	}},
	{"7.2 a compressed request", func(r *xepRig) {
		s := r.login("bo", nil)
		if !strings.Contains(s.created.attr("accept"), "gzip") {
			r.t.Skip("it does not accept that")
		}
		s.rid++
		r.post("Content-Encoding: gzip\r\n", xepGzip(s.body(s.rid, nil, xepMessage(s.jid, "1")))).wantTexts("1")
	}},
	{"7.2 a request that is huge once decompressed", func(r *xepRig) {
		s := r.create(nil)
		s.rid++
		r.post("Content-Encoding: gzip\r\n", xepGzip(s.body(s.rid, nil, "<a>"+strings.Repeat("x", 32<<20)+"</a>"))).answer().wantClientError()
	}},
	{"7.2 a request that is not compressed as it says", func(r *xepRig) {
		for _, coding := range []string{"gzip", "deflate", "br", "x"} {
			r.post("Content-Encoding: "+coding+"\r\n", r.creation(nil)).answer().wantClientError()
		}
	}},
	{"5 a compressed request that is cut off", func(r *xepRig) {
		body := xepGzip(r.creation(nil))
		r.post("Content-Encoding: gzip\r\n", body[:len(body)-9]).answer().wantClientError()
	}},
	{"CORS: what a page may ask", func(r *xepRig) {
		a := r.write("OPTIONS " + r.path + " HTTP/1.1\r\nHost: " + r.domain + "\r\nOrigin: http://x.example\r\n" +
			"Access-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: content-type\r\n\r\n").answer()
		if a.err != nil || a.status/100 != 2 {
			r.t.Errorf("got %v, want 2xx", a)
		}
		xepWantOrigin(a)
		if got := a.header.Get("Access-Control-Allow-Methods"); !strings.Contains(got, "POST") {
			r.t.Errorf("got Access-Control-Allow-Methods %q, want POST", got)
		}
		if got := a.header.Get("Access-Control-Allow-Headers"); !strings.Contains(strings.ToLower(got), "content-type") {
			r.t.Errorf("got Access-Control-Allow-Headers %q, want Content-Type", got)
		}
	}},
	{"CORS: a page may read answers", func(r *xepRig) {
		xepWantOrigin(r.post("Origin: http://x.example\r\n", r.creation(nil)).answer().wantOK())
		xepWantOrigin(r.post("Origin: http://x.example\r\n", r.creation(xepAttrs{"to": xepAbsent})).answer())
		xepWantOrigin(r.post("Origin: http://x.example\r\n", "x").answer())
	}},
	{"5 GET has a page for people", func(r *xepRig) {
		a := r.write("GET " + r.path + " HTTP/1.1\r\nHost: " + r.domain + "\r\n\r\n").answer()
		if a.err != nil || a.status != http.StatusOK || !strings.HasPrefix(a.header.Get("Content-Type"), "text/html") {
			r.t.Errorf("got %v, want a page", a)
		}
	}},
	{"5 other methods", func(r *xepRig) {
		for _, method := range []string{"PUT", "DELETE", "PATCH", "TRACE", "BREW"} {
			body := r.creation(nil)
			a := r.write(method + " " + r.path + " HTTP/1.1\r\nHost: " + r.domain + "\r\nContent-Length: " + xepItoa(len(body)) + "\r\n\r\n" + body).answer()
			if a.err != nil || a.status < 400 || a.status > 501 || a.has("sid") {
				r.t.Errorf("%s: got %v, want an error", method, a)
			}
		}
	}},
}

func TestXEP0124HTTP(t *testing.T) { xepTables(t, false, xepHTTP) }

func TestXEP0124HTTPLoopback(t *testing.T) {
	xepTables(t, true, slices.DeleteFunc(slices.Clone(xepHTTP), func(row xepRow) bool { return strings.HasPrefix(row.name, "14.3") }))
}

// wantClientError wants that the client is told to have made a mistake.
func (a *xepAnswer) wantClientError() {
	a.t.Helper()
	if a.err != nil || a.status >= 500 || !a.isError() {
		a.t.Errorf("got %v, want an error", a)
	}
}

func xepWantOrigin(a *xepAnswer) {
	a.t.Helper()
	if got := a.header.Get("Access-Control-Allow-Origin"); got != "*" && got != "http://x.example" {
		a.t.Errorf("got Access-Control-Allow-Origin %q, want *", got)
	}
}

func xepGzip(text string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = io.WriteString(w, text)
	_ = w.Close()
	return b.String()
}

// xepKept is a connection for several requests.
type xepKept struct {
	r    *xepRig
	call *xepCall
	in   *bufio.Reader
}

func (r *xepRig) keep() *xepKept {
	call := &xepCall{r: r, c: r.dial()}
	r.mu.Lock()
	r.conns = append(r.conns, call.c)
	r.mu.Unlock()
	_ = call.c.SetDeadline(time.Now().Add(r.patience))
	return &xepKept{r, call, bufio.NewReader(call.c)}
}

func (k *xepKept) write(fields, body string) {
	_, _ = io.WriteString(k.call.c, "POST "+k.r.path+" HTTP/1.1\r\nHost: "+k.r.domain+"\r\n"+fields+"Content-Length: "+xepItoa(len(body))+"\r\n\r\n"+body)
}

func (k *xepKept) read() *xepAnswer { return readXEP(k.r.t, k.in) }

func (k *xepKept) exchange(fields, body string) *xepAnswer {
	k.write(fields, body)
	return k.read()
}
