package httpd

import (
	"net/http"
	"net/netip"
	"testing"
)

// Handlers know their paths in anybody's mux.
func TestInfoInOwnMux(t *testing.T) {
	for target, want := range map[string]string{
		"/": "", "/a/b": "a/b", "//a/./b/": "a/b", "/a/%2e%2e/b": "b", "/../a": "a", "/%61": "a",
		"/a%2Fb": "/a%2Fb", "/a/%00": "/a/%00",
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://a.test"+target, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.RemoteAddr = "[fe80::1%lo]:5000"
		if got, want := InfoOf(r), (Info{Client: netip.MustParseAddr("fe80::1"), ClientPort: 5000, Mount: "/", Rest: want}); got != want {
			t.Errorf("%s: got %+v, want %+v", target, got, want)
		}
		if got, want := InfoOf(WithInfo(r, Info{Host: "a.test"})), (Info{Host: "a.test", Mount: "/", Rest: want}); got != want {
			t.Errorf("%s, with an Info: got %+v, want %+v", target, got, want)
		}
		given := Info{Host: "a.test", Mount: "/x", Rest: "y"}
		if got := InfoOf(WithInfo(r, given)); got != given {
			t.Errorf("%s: got %+v, want %+v", target, got, given)
		}
	}
}
