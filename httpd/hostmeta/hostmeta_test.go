package hostmeta

import (
	"encoding/json"
	"encoding/xml"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/tidewaiter/tidewaiter/httpd"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

const (
	bosh      = "urn:xmpp:alt-connections:xbosh"
	websocket = "urn:xmpp:alt-connections:websocket"
)

// get asks a handler as an https listener does for a virtual host.
func get(h http.Handler, method, path, host string) *http.Response {
	w := httptest.NewRecorder()
	r := httptest.NewRequest(method, path, nil)
	h.ServeHTTP(w, httpd.WithInfo(r, httpd.Info{Host: host, Secure: true, Mount: "/"}))
	return w.Result()
}

// readXRD and readJSON return the links of a document, each as rel and href.
func readXRD(t *testing.T, r *http.Response) (links []string) {
	t.Helper()
	var doc struct {
		XMLName xml.Name `xml:"http://docs.oasis-open.org/ns/xri/xrd-1.0 XRD"`
		Links   []struct {
			Rel  string `xml:"rel,attr"`
			Href string `xml:"href,attr"`
		} `xml:"http://docs.oasis-open.org/ns/xri/xrd-1.0 Link"`
	}
	d := xml.NewDecoder(r.Body)
	d.Strict = true
	if err := d.Decode(&doc); err != nil {
		t.Fatalf("XRD: %v", err)
	}
	for _, l := range doc.Links {
		links = append(links, l.Rel+" "+l.Href)
	}
	return links
}

func readJSON(t *testing.T, r *http.Response) (links []string) {
	t.Helper()
	var doc map[string][]map[string]string
	if err := json.NewDecoder(r.Body).Decode(&doc); err != nil {
		t.Fatalf("JSON: %v", err)
	}
	if doc["links"] == nil || len(doc) != 1 {
		t.Errorf("JSON: got %v, want the one member links, an array", doc)
	}
	for _, l := range doc["links"] {
		if len(l) != 2 {
			t.Errorf("link: got %v, want rel and href", l)
		}
		links = append(links, l["rel"]+" "+l["href"])
	}
	return links
}

func TestLinks(t *testing.T) {
	both := []Endpoint{
		{BOSH, false, 5280, "/bosh"}, {WebSocket, false, 5280, "/ws"},
		{BOSH, true, 5443, "/bosh"}, {WebSocket, true, 5443, "/chat/ws"},
		{BOSH, true, 5444, "/other"},
	}
	auto := Defaults()
	tests := []struct {
		name      string
		options   Options
		endpoints []Endpoint
		host      string
		want      []string
	}{
		{"auto", auto, both, "one.test", []string{bosh + " https://one.test:5443/bosh/", websocket + " wss://one.test:5443/chat/ws/"}},
		{"auto of an address", auto, both[2:3], "[2001:db8::1]", []string{bosh + " https://[2001:db8::1]:5443/bosh/"}},
		{"auto of an IDN", auto, both[2:3], "bücher.test", []string{bosh + " https://xn--bcher-kva.test:5443/bosh/"}},
		{"auto of an IDN with A-labels", auto, both[2:3], "xn--bcher-kva.test", []string{bosh + " https://xn--bcher-kva.test:5443/bosh/"}},
		{"auto at the root", auto, []Endpoint{{WebSocket, true, 443, "/"}}, "one.test", []string{websocket + " wss://one.test:443/"}},
		{"auto of a path to escape", auto, []Endpoint{{BOSH, true, 443, `/a b?<"`}}, "one.test", []string{bosh + " https://one.test:443/a%20b%3F%3C%22/"}},
		{"auto without TLS", auto, both[:2], "one.test", nil},
		{"auto without listeners", auto, nil, "one.test", nil},
		{"undefined", Options{BOSHServiceURL: Undefined, WebsocketURL: Auto}, both, "one.test", []string{websocket + " wss://one.test:5443/chat/ws/"}},
		{"zero", Options{}, both, "one.test", nil},
		{
			"written", Options{"https://@HOST@/b?h=@HOST_URL_ENCODE@&x='<>\"", "ws://proxy.test:80/@HOST@"}, both, "bücher.test",
			[]string{bosh + " https://xn--bcher-kva.test/b?h=b%C3%BCcher.test&x='<>\"", websocket + " ws://proxy.test:80/xn--bcher-kva.test"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := New(Host{Endpoints: func() []Endpoint { return tt.endpoints }})
			h.Configure(stanza.PerHost[*Options]{Value: &tt.options})
			if got := readXRD(t, get(h, "GET", "/.well-known/host-meta", tt.host)); !slices.Equal(got, tt.want) {
				t.Errorf("host-meta: got %q, want %q", got, tt.want)
			}
			if got := readJSON(t, get(h, "GET", "/.well-known/host-meta.json", tt.host)); !slices.Equal(got, tt.want) {
				t.Errorf("host-meta.json: got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestAnswers(t *testing.T) {
	one := Options{WebsocketURL: "wss://one.test/ws"}
	h := New(Host{})
	h.Configure(stanza.PerHost[*Options]{Hosts: map[string]*Options{"one.test": &one}})
	tests := []struct {
		name, method, path, host string
		status                   int
		kind                     string
	}{
		{"XRD", "GET", "/.well-known/host-meta", "one.test", 200, "application/xrd+xml; charset=utf-8"},
		{"JSON", "GET", "/.well-known/host-meta.json", "one.test", 200, "application/json"},
		{"head", "HEAD", "/.well-known/host-meta.json", "one.test", 200, "application/json"},
		{"other mount", "GET", "/a/b/host-meta", "one.test", 200, "application/xrd+xml; charset=utf-8"},
		{"slash at the end", "GET", "/host-meta/", "one.test", 200, "application/xrd+xml; charset=utf-8"},
		{"other name", "GET", "/.well-known/host-meta.xml", "one.test", 404, ""},
		{"below", "GET", "/host-meta/x", "one.test", 404, ""},
		{"root", "GET", "/", "one.test", 404, ""},
		{"other case", "GET", "/Host-Meta", "one.test", 404, ""},
		{"virtual host without", "GET", "/host-meta", "two.test", 404, ""},
		{"post", "POST", "/host-meta", "one.test", 405, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := get(h, tt.method, tt.path, tt.host)
			if r.StatusCode != tt.status {
				t.Fatalf("got %d, want %d", r.StatusCode, tt.status)
			}
			if tt.status != 200 {
				return
			}
			for name, want := range map[string]string{
				"Content-Type": tt.kind, "Access-Control-Allow-Origin": "*",
				"Cache-Control": "public, max-age=300", "X-Content-Type-Options": "nosniff",
			} {
				if got := r.Header.Get(name); got != want {
					t.Errorf("%s: got %q, want %q", name, got, want)
				}
			}
		})
	}
}

// Who has the document is told so, until it changes.
func TestETag(t *testing.T) {
	o := Options{WebsocketURL: "wss://one.test/ws"}
	h := New(Host{})
	h.Configure(stanza.PerHost[*Options]{Value: &o})
	again := func(tag string) (int, string) {
		r := httptest.NewRequest("GET", "/host-meta", nil)
		r.Header.Set("If-None-Match", tag)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w.Code, w.Header().Get("ETag")
	}
	_, tag := again(`"x"`)
	if status, same := again(tag); status != http.StatusNotModified || same != tag {
		t.Errorf("the same: got %d and %s, want %d and %s", status, same, http.StatusNotModified, tag)
	}
	h.Configure(stanza.PerHost[*Options]{Value: new(Options)})
	if status, other := again(tag); status != http.StatusOK || other == tag {
		t.Errorf("another: got %d and %s, want %d and another than %s", status, other, http.StatusOK, tag)
	}
}

// In a mux that knows no virtual hosts the URL names the domain.
func TestPlainMux(t *testing.T) {
	mux := http.NewServeMux()
	mux.Handle("/.well-known/", New(Host{Endpoints: func() []Endpoint { return []Endpoint{{WebSocket, true, 5443, "/ws"}} }}))
	for host, want := range map[string]string{
		"one.test": "wss://one.test:5443/ws/", "One.Test:443": "wss://one.test:5443/ws/",
		"[2001:db8::1]:443": "wss://[2001:db8::1]:5443/ws/", "[2001:db8::1]": "wss://[2001:db8::1]:5443/ws/",
		"": "", `"><x`: "", "a@b": "",
	} {
		r := httptest.NewRequest("GET", "/.well-known/host-meta", nil)
		r.Host = host
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		if want == "" {
			if w.Code != http.StatusNotFound {
				t.Errorf("host %q: got %d, want %d", host, w.Code, http.StatusNotFound)
			}
		} else if w.Code != http.StatusOK {
			t.Errorf("host %q: got %d, want %d", host, w.Code, http.StatusOK)
		} else if got := readXRD(t, w.Result()); !slices.Equal(got, []string{websocket + " " + want}) {
			t.Errorf("host %q: got %q, want %q", host, got, want)
		}
	}
}

// Each thing that an operator should know is said once, and again after a reload.
func TestLog(t *testing.T) {
	var out strings.Builder
	h := New(Host{
		Endpoints: func() []Endpoint { return []Endpoint{{BOSH, false, 5280, "/bosh"}} },
		Log:       slog.New(slog.NewTextHandler(&out, nil)),
	})
	ask := func(secure bool) {
		r := httptest.NewRequest("GET", "/host-meta", nil)
		h.ServeHTTP(httptest.NewRecorder(), httpd.WithInfo(r, httpd.Info{Host: "one.test", Secure: secure}))
	}
	count := func(omitted, plaintext int) {
		t.Helper()
		if got := strings.Count(out.String(), "does not tell of BOSH: no listener with TLS has it; a proxy that adds TLS goes into bosh_service_url"); got != omitted {
			t.Errorf("omitted link: logged %d times, want %d", got, omitted)
		}
		if got := strings.Count(out.String(), "read without TLS"); got != plaintext {
			t.Errorf("request without TLS: logged %d times, want %d", got, plaintext)
		}
		if strings.Contains(out.String(), "WebSocket") {
			t.Error("a service that no listener has was logged")
		}
	}
	ask(true)
	count(1, 0)
	ask(false)
	ask(false)
	count(1, 1)
	o := Defaults()
	h.Configure(stanza.PerHost[*Options]{Value: &o})
	ask(false)
	count(2, 2)
}

func TestURL(t *testing.T) {
	for text, ok := range map[string]bool{
		"auto": true, "undefined": true, "https://@HOST@:5443/bosh": true, "wss://@HOST@/ws": true, "ws://x.test/@HOST_URL_ENCODE@": true,
		"": false, "Auto": false, "@HOST@": false, "/ws": false, "wss:///ws": false, "javascript:alert(1)": false, "http://%zz": false, "wss://a b/": false,
	} {
		var u URL
		err := u.UnmarshalText([]byte(text))
		if (err == nil) != ok {
			t.Errorf("%q: got %v, want accepted %v", text, err, ok)
		}
		if back, _ := u.MarshalText(); ok && string(back) != text {
			t.Errorf("%q: got %q back", text, back)
		}
	}
}

func BenchmarkHostMeta(b *testing.B) {
	h := New(Host{Endpoints: func() []Endpoint { return []Endpoint{{BOSH, true, 5443, "/bosh"}, {WebSocket, true, 5443, "/ws"}} }})
	b.ReportAllocs()
	for b.Loop() {
		get(h, "GET", "/host-meta.json", "one.test")
	}
}
