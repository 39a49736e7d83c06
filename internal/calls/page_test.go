package calls

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestRequestIsForeign(t *testing.T) {
	const (
		chrome = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36"
		shell  = "Mozilla/5.0 (Windows NT 10.0; en-US) WindowsPowerShell/5.1"
	)
	type h = map[string]string
	tests := []struct {
		name   string
		host   string // of the request
		secure bool
		header h
		want   bool
	}{
		{"curl", "127.0.0.1:5280", false, h{"User-Agent": "curl/8.0", "Accept": "*/*"}, false},
		{"curl by another name", "gateway:5280", false, h{"User-Agent": "curl/8.0"}, false},
		{"nothing", "gateway", false, nil, false},
		{"fetch of Node", "127.0.0.1:5280", false, h{"User-Agent": "node", "Accept-Language": "*", "Sec-Fetch-Mode": "cors"}, false},
		{"PowerShell", "127.0.0.1:5280", false, h{"User-Agent": shell}, false},

		{"typed address", "127.0.0.1:5280", false, h{"Sec-Fetch-Site": "none"}, false},
		{"page of ours", "localhost:5280", false, h{"Sec-Fetch-Site": "same-origin", "Origin": "http://localhost:5280"}, false},
		{"GET of a page of ours", "localhost:5280", false, h{"Sec-Fetch-Site": "same-origin"}, false},
		{"page of ours on another machine", "192.0.2.1:5280", false, h{"Origin": "http://192.0.2.1:5280"}, false},
		{"by IPv6", "[::1]:5280", false, h{"Origin": "http://[::1]:5280"}, false},
		{"IPv6 without a port", "[::1]", false, h{"Origin": "http://[::1]"}, false},
		{"by the virtual host", "one.test", true, h{"Origin": "https://one.test"}, false},
		{"by the virtual host, in capitals", "ONE.test:5280", false, h{"Origin": "http://one.test:5280"}, false},
		{"behind a proxy with TLS", "one.test", false, h{"Origin": "https://one.test"}, false},

		{"POST of another site", "127.0.0.1:5280", false, h{"Origin": "https://evil.test", "Sec-Fetch-Site": "cross-site"}, true},
		{"POST of an old browser", "127.0.0.1:5280", false, h{"Origin": "https://evil.test"}, true},
		{"image of another site", "127.0.0.1:5280", false, h{"Sec-Fetch-Site": "cross-site"}, true},
		{"another port", "127.0.0.1:5280", false, h{"Origin": "http://127.0.0.1:8000", "Sec-Fetch-Site": "same-site"}, true},
		{"another port, an old browser", "127.0.0.1:5280", false, h{"Origin": "http://127.0.0.1:8000"}, true},
		{"image of another port", "localhost:5280", false, h{"Sec-Fetch-Site": "same-site"}, true},
		{"frame without an origin", "127.0.0.1:5280", false, h{"Origin": "null"}, true},
		{"no origin", "127.0.0.1:5280", false, h{"Origin": ""}, true},
		{"not encrypted", "one.test", true, h{"Origin": "http://one.test"}, true},
		{"extension", "one.test", false, h{"Origin": "chrome-extension://one.test"}, true},
		{"origin with a path", "one.test", false, h{"Origin": "http://one.test/"}, true},
		{"other word", "127.0.0.1:5280", false, h{"Sec-Fetch-Site": "Same-Origin"}, true},

		{"rebound name", "evil.test:5280", false, h{"Origin": "http://evil.test:5280"}, true},
		{"rebound name, same origin", "evil.test:5280", false, h{"Sec-Fetch-Site": "same-origin"}, true},
		{"rebound name, typed", "evil.test:5280", false, h{"Sec-Fetch-Site": "none"}, true},
		{"name that ends like ours", "notlocalhost", false, h{"Origin": "http://notlocalhost"}, true},
		{"name that begins like ours", "one.test.evil.test", false, h{"Origin": "http://one.test.evil.test"}, true},
		{"no name", "", false, h{"Origin": "http://"}, true},
		{"user in the name", "one.test@evil.test", false, h{"Origin": "http://one.test@evil.test"}, true},

		{"image without TLS", "192.0.2.1:5280", false, h{"User-Agent": chrome, "Accept-Language": "en"}, true},
		{"image whose page chose the language", "192.0.2.1:5280", false, h{"User-Agent": chrome, "Accept-Language": ""}, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodPost, "/", nil)
			r.Host = tt.host
			for name, v := range tt.header {
				r.Header.Set(name, v)
			}
			if got := Foreign(r, "one.test", tt.secure); got != tt.want {
				t.Errorf("got %t, want %t", got, tt.want)
			}
		})
	}
	t.Run("several", func(t *testing.T) {
		r := httptest.NewRequest(http.MethodPost, "/", nil)
		r.Host = "127.0.0.1"
		r.Header["Origin"] = []string{"http://127.0.0.1", "http://evil.test"}
		if !Foreign(r, "", false) {
			t.Error("a second origin does not count")
		}
		r.Header = http.Header{"Sec-Fetch-Site": {"same-origin", "cross-site"}}
		if !Foreign(r, "", false) {
			t.Error("a second site does not count")
		}
	})
}
