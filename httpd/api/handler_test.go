package api

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"

	"github.com/tidewaiter/tidewaiter/httpd"
	"github.com/tidewaiter/tidewaiter/listen/command"
)

const (
	noCommand = `{"status":"error","code":40,"message":"there is no command in the path"}`
	noMethod  = `{"status":"error","code":40,"message":"want GET or POST"}`
	unknown   = `{"status":"error","code":44,"message":"Command not found."}`
	denied    = `{"status":"error","code":32,"message":"api_permissions do not let you run this command"}`
	malformed = `"Invalid JSON input"`
)

func TestPath(t *testing.T) {
	tests := []struct {
		name   string
		mount  string
		rest   string
		status int
		body   string
	}{
		{"command", "/api", "connected_users_number", 200, "7"},
		{"more", "/api", "connected_users_number/x/y", 200, "7"},
		{"version", "/api", "connected_users_number/v0", 200, `{"num_sessions":7}`},
		{"version further on", "/api", "connected_users_number/x/v0/y", 200, `{"num_sessions":7}`},
		{"last of several", "/api", "connected_users_number/v1/v0", 200, `{"num_sessions":7}`},
		{"last of several, the other way", "/api", "connected_users_number/v0/v1", 200, "7"},
		{"in the mount", "/api/v0", "connected_users_number", 200, `{"num_sessions":7}`},
		{"in the middle of the mount", "/v0/api", "connected_users_number", 200, `{"num_sessions":7}`},
		{"the path before the mount", "/api/v0", "connected_users_number/v1", 200, "7"},
		{"definition", "/api", "versions/v1", 200, "0"},
		{"another definition", "/api", "versions/v2", 200, "2"},
		{"the newest definition", "/api", "versions", 200, `"three"`},
		{"later than all", "/api", "versions/v99", 200, `"three"`},
		{"huge", "/api", "versions/v" + strings.Repeat("9", 1000), 200, `"three"`},
		{"zeros", "/api", "versions/v002", 200, "2"},
		{"too young", "/api", "young/v1", 404, unknown},
		{"old enough", "/api", "young/v2", 200, "0"},
		{"no number", "/api", "versions/v", 200, `"three"`},
		{"sign", "/api", "versions/v-1", 200, `"three"`},
		{"plus", "/api", "versions/v+1", 200, `"three"`},
		{"letters", "/api", "versions/v1a", 200, `"three"`},
		{"other digits", "/api", "versions/v\u0661", 200, `"three"`},
		{"version for a command", "/api", "v2/versions", 404, unknown},
		{"unknown", "/api", "connected", 404, unknown},
		{"other case", "/api", "Versions", 404, unknown},
		{"not UTF-8", "/api", "\xff", 404, unknown},
		{"name with a slash", "/api", "..%2fversions", 404, unknown},
		{"no command", "/api", "", 400, noCommand},
		{"for everything", "/", "versions", 200, `"three"`},
		{"internal", "/api", "webadmin_page", 403, denied},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r = httpd.WithInfo(r, httpd.Info{Mount: tt.mount, Rest: tt.rest})
			check(t, do(handler(t, everybody), r), tt.status, tt.body)
		})
	}
}

// In a program's own mux the path is that of the request.
func TestInAMux(t *testing.T) {
	mux := http.NewServeMux()
	mux.Handle("/api/", http.StripPrefix("/api", handler(t, everybody)))
	check(t, do(mux, httptest.NewRequest(http.MethodGet, "/api/versions/v0/", nil)), 200, `{"n":0}`)
	check(t, do(mux, httptest.NewRequest(http.MethodGet, "/api/", nil)), 400, noCommand)
	check(t, do(handler(t, everybody), httptest.NewRequest(http.MethodGet, "/x/..//versions", nil)), 200, `"three"`)
}

func TestConfigure(t *testing.T) {
	h := handler(t, everybody)
	for _, tt := range []struct {
		version Version
		path    string
		want    string
	}{
		{Newest, "versions", `"three"`}, {0, "versions", `{"n":0}`}, {2, "versions", "2"}, {3, "versions", `"three"`}, {0, "versions/v2", "2"},
	} {
		h.Configure(Options{DefaultVersion: tt.version})
		check(t, do(h, request(http.MethodGet, tt.path, "")), 200, tt.want)
	}
}

func TestMethods(t *testing.T) {
	tests := []struct {
		method string
		path   string
		status int
		body   string
	}{
		{http.MethodGet, "connected_users_number", 200, "7"},
		{http.MethodHead, "connected_users_number", 200, "7"}, // which net/http does not send
		{http.MethodPost, "connected_users_number", 200, "7"},
		{http.MethodOptions, "connected_users_number", 200, ""},
		{http.MethodOptions, "", 200, ""},
		{http.MethodPut, "connected_users_number", 400, noMethod},
		{http.MethodDelete, "connected_users_number", 400, noMethod},
		{http.MethodPatch, "", 400, noMethod},
		{"GETS", "connected_users_number", 400, noMethod},
		{http.MethodPost, "", 400, noCommand},
		{http.MethodPost, "openapi.json", 404, unknown},
	}
	for _, tt := range tests {
		t.Run(tt.method+" "+tt.path, func(t *testing.T) {
			w := do(handler(t, everybody), request(tt.method, tt.path, "{}"))
			check(t, w, tt.status, tt.body)
			want := map[string]string{
				"Access-Control-Allow-Origin": "*", "Access-Control-Allow-Headers": "Content-Type, Authorization, X-Admin",
				"Access-Control-Allow-Methods": "", "Access-Control-Max-Age": "", "Content-Type": "application/json",
				"Access-Control-Allow-Credentials": "", "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff",
				"Content-Length": fmt.Sprint(len(tt.body)),
			}
			if tt.method == http.MethodOptions {
				want["Access-Control-Allow-Methods"], want["Access-Control-Max-Age"] = "GET, POST, OPTIONS", "86400"
				want["Content-Type"], want["Cache-Control"], want["X-Content-Type-Options"], want["Content-Length"] = "text/plain", "", "", ""
			}
			for name, v := range want {
				if got := w.Header().Get(name); got != v {
					t.Errorf("%s: got %q, want %q", name, got, v)
				}
			}
		})
	}
}

// Over a connection: an answer to HEAD has no body.
func TestHead(t *testing.T) {
	s := httptest.NewServer(handler(t, everybody))
	defer s.Close()
	resp, err := s.Client().Head(s.URL + "/connected_users_number")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if body, _ := io.ReadAll(resp.Body); resp.StatusCode != 200 || len(body) > 0 || resp.ContentLength != 1 {
		t.Errorf("got %s with %q and a length of %d, want 200 with the length 1 alone", resp.Status, body, resp.ContentLength)
	}
}

func TestErrors(t *testing.T) {
	tests := []struct {
		command string
		status  int
		body    string
	}{
		{"yes", 200, "0"},
		{"no", 200, "1"},
		{"told", 200, `"done & <dusted>"`},
		{"unserved", 400, `"unknown virtual host"`},
		{"forbidden", 401, `"that may not be"`},
		{"stop", 403, denied},
		{"nothing", 404, `"there is no such thing"`},
		{"gone", 404, `{"status":"error","code":10003,"message":"no room"}`},
		{"exists", 409, `{"status":"error","code":10090,"message":"User exists"}`},
		{"busy", 409, `{"status":"error","code":0,"message":"in the way"}`},
		{"fault", 500, `{"status":"error","code":10001,"message":"not made"}`},
		{"typed", 500, `{"status":"error","code":10002,"message":"too weak"}`},
		{"sorry", 500, `"come back tomorrow"`},
		{"broken", 500, `"internal_error"`},
		{"panics", 500, `"internal_error"`},
	}
	for _, tt := range tests {
		t.Run(tt.command, func(t *testing.T) {
			w := do(handler(t, public), request(http.MethodPost, tt.command, "{}"))
			check(t, w, tt.status, tt.body)
			if got := w.Header()["Www-Authenticate"]; (len(got) == 2) != (tt.status == 401) {
				t.Errorf("got WWW-Authenticate %q for %d", got, tt.status)
			}
		})
	}
}

// A body is refused for the length that its header promises, before any of it is read,
// and else when there is too much of it.
func TestLargeBodies(t *testing.T) {
	const want = `"the body is larger than 1048576 bytes"`
	declared := request(http.MethodPost, "yes", "")
	declared.Body, declared.ContentLength = io.NopCloser(unread{t}), 1<<30
	check(t, do(handler(t, everybody), declared), 413, want)

	endless := request(http.MethodPost, "yes", "")
	endless.Body, endless.ContentLength = io.NopCloser(blanks{}), -1
	check(t, do(handler(t, everybody), endless), 413, want)

	full := request(http.MethodPost, "yes", "{"+strings.Repeat(" ", maxBody-2)+"}")
	check(t, do(handler(t, everybody), full), 200, "0")

	broken := request(http.MethodPost, "yes", "")
	broken.Body, broken.ContentLength = io.NopCloser(failing{}), -1
	check(t, do(handler(t, everybody), broken), 400, `"400 Bad Request"`)
}

type unread struct{ t *testing.T }

func (u unread) Read([]byte) (int, error) {
	u.t.Error("the body is read")
	return 0, io.EOF
}

type blanks struct{}

func (blanks) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = ' '
	}
	return len(b), nil
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// What was large is not kept for the next request.
func TestBuffers(t *testing.T) {
	h := handler(t, everybody)
	for range 20 {
		check(t, do(h, request(http.MethodPost, "echo_string", `{"v":"`+strings.Repeat("x", 2*maxKept)+`"}`)), 200, `"`+strings.Repeat("x", 2*maxKept)+`"`)
		if x := h.exchanges.Get().(*exchange); x.body.Cap() > maxKept || cap(x.answer) > maxKept {
			t.Fatalf("kept %d and %d bytes, want at most %d", x.body.Cap(), cap(x.answer), maxKept)
		}
	}
}

// Names that nobody has leave nothing behind.
func TestUnknownNames(t *testing.T) {
	h := handler(t, everybody)
	ask := func(from, to int) {
		for i := from; i < to; i++ {
			check(t, do(h, request(http.MethodPost, fmt.Sprintf("no_such_command_%d", i), fmt.Sprintf(`{"argument_%d":1}`, i))), 404, unknown)
		}
	}
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	ask(0, 1000)
	before := heap()
	ask(1000, 11_000)
	if after := heap(); after > before+100_000 {
		t.Errorf("10000 unknown names left %d bytes", after-before)
	}
}

// The context of a command is that of the request.
func TestContext(t *testing.T) {
	var reg command.Registry
	err := reg.Add(command.Command{Name: "wait", Result: field("res", command.ResCode), Run: func(ctx context.Context, _ command.Args) (any, error) {
		<-ctx.Done()
		return false, nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	h := New(Host{Commands: &reg, Permissions: permissions(everybody)})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r := request(http.MethodGet, "wait", "")
	r = httpd.WithInfo(r.WithContext(ctx), httpd.InfoOf(r))
	check(t, do(h, r), 200, "1")
}

// The log has no values: neither of arguments nor of credentials, and of nobody's name but
// that of a caller.
func TestLog(t *testing.T) {
	var log bytes.Buffer
	var reg command.Registry
	if err := reg.Add(commands()...); err != nil {
		t.Fatal(err)
	}
	h := New(Host{
		Commands: &reg, Permissions: permissions(public), Passwords: accounts{}, Tokens: accounts{},
		Log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	for _, r := range []*http.Request{
		request(http.MethodPost, "echo_string", `{"v":"hush"}`),
		request(http.MethodPost, "echo_string", `{"hush":"hush"}`),
		request(http.MethodPost, "echo_integer", `{"v":"hush"}`),
		request(http.MethodGet, "echo_string?v=hush&access_token=hush", ""),
		request(http.MethodGet, "stop?token=hush", ""),
		request(http.MethodGet, "yes", "", basic("ana@localhost", "hush")...),
		request(http.MethodGet, "yes", "", basic("hush", "hush")...),
		request(http.MethodGet, "yes", "", "Authorization", "Bearer hush"),
		request(http.MethodGet, "yes", "", basic("ana@localhost", "anchor: off")...),
	} {
		do(h, r)
	}
	got := log.String()
	if strings.Contains(got, "hush") || strings.Contains(got, "anchor") {
		t.Errorf("the log has values:\n%s", got)
	}
	for _, want := range []string{
		"command called", "command denied", "authentication failed", "user=ana@localhost", "peer=127.0.0.1", "command=echo_string from=mod_http_api",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("got the log\n%s\nwant %s in it", got, want)
		}
	}
}

// A handler of which nothing is known lets nobody do anything.
func TestEmptyHost(t *testing.T) {
	h := New(Host{})
	check(t, do(h, request(http.MethodGet, "yes", "")), 404, unknown)
	w := do(h, request(http.MethodGet, "yes", "", basic("ana@localhost", "anchor: off")...))
	if w.Code != 401 {
		t.Errorf("got %d, want 401", w.Code)
	}
}

func TestVersionText(t *testing.T) {
	for text, want := range map[string]Version{
		"0": 0, "1": 1, "2": 2, "3": 3, "24.06": 2, "24.07": 2, "24.12": 2, "25.01": 2, "24.05": 1, "23.11": 1, "23.10": 0, "23.09": 0, "18.12": 0,
		"4": -1, "-1": -1, "": -1, "24": -1, "24.6": -1, "24.13": -1, "24.00": -1, "24.06.1": -1, "newest": -1, "+4.06": -1, "1.0": -1, "٣": -1, "01": -1,
	} {
		var v Version
		err := v.UnmarshalText([]byte(text))
		if (err != nil) != (want < 0) || err == nil && v != want {
			t.Errorf("%q: got %d and %v, want %d", text, v, err, want)
		}
	}
	if got := Defaults().DefaultVersion; got != Newest {
		t.Errorf("got the default %d, want the newest", got)
	}
}
