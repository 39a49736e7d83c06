package xmlrpc

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"
)

func TestServeHTTP(t *testing.T) {
	yes := string(document("yes"))
	multiple := strings.Repeat(" ", maxBody-len(yes))
	tests := []struct {
		name         string
		method, body string
		header       [2]string
		status       int
		contentType  string
		want         string // in the body
	}{
		{"call", "POST", yes, [2]string{}, 200, "text/xml; charset=utf-8", "<?xml version=\"1.0\"?>"},
		{"fault", "POST", string(document("x")), [2]string{}, 200, "text/xml; charset=utf-8", "<fault>"},
		{"form of curl", "POST", yes, [2]string{"Content-Type", "application/x-www-form-urlencoded"}, 200, "text/xml; charset=utf-8", "<params>"},
		{"GET", "GET", "", [2]string{}, 400, "text/html; charset=utf-8", "<h1>400 Bad Request</h1>"},
		{"PUT", "PUT", yes, [2]string{}, 400, "text/html; charset=utf-8", "<h1>400 Bad Request</h1>"},
		{"OPTIONS", "OPTIONS", "", [2]string{}, 400, "text/html; charset=utf-8", "<h1>400 Bad Request</h1>"},
		{"no body", "POST", "", [2]string{}, 400, "text/html; charset=utf-8", "<h1>Malformed XML</h1>"},
		{"no XML", "POST", "{}", [2]string{}, 400, "text/html; charset=utf-8", "<h1>Malformed XML</h1>"},
		{"no call", "POST", "<a/>", [2]string{}, 400, "text/html; charset=utf-8", "<h1>Malformed Request</h1>"},
		{"as large as may be", "POST", yes + multiple, [2]string{}, 200, "text/xml; charset=utf-8", "<params>"},
		{"too large", "POST", yes + multiple + " ", [2]string{}, 413, "text/html; charset=utf-8", "413"},
		{"same site", "POST", yes, [2]string{"Sec-Fetch-Site", "same-origin"}, 200, "text/xml; charset=utf-8", "<params>"},
		{"page of another site", "POST", yes, [2]string{"Sec-Fetch-Site", "cross-site"}, 200, "text/xml; charset=utf-8", "<params>"},
	}
	h := handler(t, everybody)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := httptest.NewRequest(tt.method, "/xmlrpc/any/path?x=y", strings.NewReader(tt.body))
			if tt.header[0] != "" {
				r.Header.Set(tt.header[0], tt.header[1])
			}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if w.Code != tt.status || w.Header().Get("Content-Type") != tt.contentType || !strings.Contains(w.Body.String(), tt.want) {
				t.Errorf("got %d, %s and %s, want %d, %s and %s", w.Code, w.Header().Get("Content-Type"), w.Body, tt.status, tt.contentType, tt.want)
			}
			if got := w.Header().Get("Content-Length"); got != strconv.Itoa(w.Body.Len()) {
				t.Errorf("got a length of %s, want %d", got, w.Body.Len())
			}
		})
	}
}

// A body without a declared length has the same bound.
func TestChunked(t *testing.T) {
	h := handler(t, everybody)
	for _, size := range []int{maxBody, maxBody + 1} {
		yes := string(document("yes"))
		r := httptest.NewRequest("POST", "/", io.MultiReader(strings.NewReader(yes), strings.NewReader(strings.Repeat("\n", size-len(yes)))))
		r.ContentLength = -1
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		want := 200
		if size > maxBody {
			want = 413
		}
		if w.Code != want {
			t.Errorf("%d bytes: got %d, want %d", size, w.Code, want)
		}
	}
}

// A body that breaks off is no call.
func TestBrokenBody(t *testing.T) {
	h := handler(t, everybody)
	body := io.MultiReader(strings.NewReader(string(document("yes"))), iotest.ErrReader(errors.New("reset")))
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("POST", "/", body))
	if w.Code != 400 {
		t.Errorf("got %d, want 400", w.Code)
	}
}

// Who says that a gigabyte will come is refused before it does.
func TestDeclaredLength(t *testing.T) {
	s := httptest.NewServer(handler(t, everybody))
	defer s.Close()
	c, err := net.Dial("tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := fmt.Fprintf(c, "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n<?xml", 1<<30); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != 413 {
		t.Errorf("got %d, want 413", resp.StatusCode)
	}
}

// Large buffers of one request are not kept for the next.
func TestLargeBuffers(t *testing.T) {
	h := handler(t, everybody)
	x := new(exchange)
	x.body.Grow(maxKept + 1)
	h.putBack(x)
	y := new(exchange)
	y.answer = make([]byte, maxKept+1)
	h.putBack(y)
	for range 4 {
		if got := h.exchanges.Get().(*exchange); got == x || got == y {
			t.Error("a large buffer is used again")
		}
	}
}

// Calls at the same time do not see one another's buffers.
func TestConcurrent(t *testing.T) {
	h := handler(t, everybody)
	done := make(chan error)
	for i := range 8 {
		go func() {
			for j := range 50 {
				text := strings.Repeat(string(rune('a'+i)), j*20)
				v, f, err := response(post(h, string(document("echothis", text))).Body.Bytes())
				if err != nil || f != nil || v != text {
					done <- fmt.Errorf("got %v, %v and %v, want %s", v, f, err, text)
					return
				}
			}
			done <- nil
		}()
	}
	for range 8 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}
