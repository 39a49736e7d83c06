package xmlrpc

import (
	"bytes"
	"context"
	"log/slog"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/tidewaiter/tidewaiter/acl"
	"github.com/tidewaiter/tidewaiter/httpd"
	"github.com/tidewaiter/tidewaiter/listen/command"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// What browsers send for pages of other sites, which XML-RPC cannot tell by the type of
// the body: that may be text/plain.
func TestForeignPages(t *testing.T) {
	here := netip.MustParseAddr("127.0.0.1")
	local := func(s acl.Subject, _ acl.Command) bool { return s.IP == here || s.User == "ana" }
	notLocal := func(s acl.Subject, _ acl.Command) bool { return s.IP != here }
	form := []string{"Origin", "https://evil.test", "Sec-Fetch-Site", "cross-site", "Content-Type", "text/plain"}
	ana := structure{{"user", "ana"}, {"server", "localhost"}, {"password", "anchor"}}
	tests := []struct {
		name   string
		may    permissions
		host   string
		secure bool
		header []string
		params []any
		want   bool
	}{
		{"program", local, "localhost", false, nil, nil, true},
		{"program by the address", local, "127.0.0.1:4560", false, nil, nil, true},
		{"form", local, "localhost", false, form, nil, false},
		{"form of an older browser", local, "localhost", false, form[:2], nil, false},
		{"form of a file", local, "localhost", false, []string{"Origin", "null"}, nil, false},
		{"page on another port", local, "localhost:4560", false, []string{"Origin", "http://localhost:8000", "Sec-Fetch-Site", "same-site"}, nil, false},
		{"page without TLS", local, "localhost", true, []string{"Origin", "http://localhost"}, nil, false},
		{"our own page", local, "localhost", false, []string{"Origin", "http://localhost", "Sec-Fetch-Site", "same-origin"}, nil, true},
		{"rebound name", local, "evil.test", false, []string{"Origin", "http://evil.test", "Sec-Fetch-Site", "same-origin"}, nil, false},
		{"open to everybody", everybody, "localhost", false, form, nil, true},
		{"forbidden here", notLocal, "localhost", false, form, nil, false},
		{"form with a password", local, "localhost", false, form, []any{ana}, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := handler(t, tt.may)
			call := func(method string, params ...any) (any, *fault) {
				r := httptest.NewRequest("POST", "/", bytes.NewReader(document(method, params...)))
				r.Host = tt.host
				for i := 0; i < len(tt.header); i += 2 {
					r.Header.Set(tt.header[i], tt.header[i+1])
				}
				r = httpd.WithInfo(r, httpd.Info{Host: "localhost", Client: here, Secure: tt.secure})
				w := httptest.NewRecorder()
				h.ServeHTTP(w, r)
				v, f, err := response(w.Body.Bytes())
				if err != nil {
					t.Fatal(err)
				}
				return v, f
			}
			if _, f := call("yes", tt.params...); (f == nil) != tt.want || f != nil && f.code != faultFailed {
				t.Errorf("the call: got %v, want it to be run: %v", f, tt.want)
			}
			if tt.params != nil {
				return
			}
			if v, _ := call("system.listMethods"); (len(v.([]any)) > 0) != tt.want {
				t.Errorf("system.listMethods: got %v, want some: %v", v, tt.want)
			}
			if _, f := call("system.methodHelp", "yes"); (f == nil) != tt.want {
				t.Errorf("system.methodHelp: got %v, want the help: %v", f, tt.want)
			}
		})
	}
}

// A handler without commands and permissions has nothing to offer, to all methods.
func TestNothing(t *testing.T) {
	for name, h := range map[string]*Handler{
		"nothing":        New(Host{}),
		"no permissions": New(Host{Commands: registry(t)}),
		"no commands":    New(Host{Permissions: permissions(everybody)}),
		"empty":          New(Host{Commands: new(command.Registry), Permissions: permissions(everybody)}),
	} {
		expect(t, h, document("system.listMethods"), []any{}, 0, "")
		for _, body := range [][]byte{document("yes"), document("system.methodHelp", "yes"), document("system.methodSignature", "yes")} {
			if _, f, err := response(post(h, string(body)).Body.Bytes()); f == nil || err != nil {
				t.Errorf("%s: got %v and %v, want a fault", name, f, err)
			}
		}
	}
}

// Documents that are bombs for readers of XML are refused, and cost little.
func TestBombs(t *testing.T) {
	call := func(params string) string {
		return "<methodCall><methodName>yes</methodName><params>" + params + "</params></methodCall>"
	}
	one := "<param><value><int>1</int></value></param>"
	entities := `<!ENTITY a "aaaaaaaaaa">`
	for _, c := range "bcdefghij" {
		entities += `<!ENTITY ` + string(c) + ` "` + strings.Repeat("&"+string(c-1)+";", 10) + `">`
	}
	const deep = 1_000_000
	for name, tt := range map[string]struct {
		body   string
		status int
	}{
		"entities":             {"<!DOCTYPE a [" + entities + "]>" + call("<param><value>&j;</value></param>"), 400},
		"long entity":          {`<!DOCTYPE a [<!ENTITY a "` + strings.Repeat("a", 500_000) + `">]>` + call("<param><value>"+strings.Repeat("&a;", 1000)+"</value></param>"), 400},
		"file":                 {`<!DOCTYPE a [<!ENTITY a SYSTEM "file:///etc/passwd">]>` + call("<param><value>&a;</value></param>"), 400},
		"document type":        {`<!DOCTYPE a SYSTEM "http://evil.test/">` + call(""), 400},
		"entity without type":  {call("<param><value>&a;</value></param>"), 400},
		"include":              {call(`<param><value><xi:include xmlns:xi="http://www.w3.org/2001/XInclude" href="file:///etc/passwd"/></value></param>`), 400},
		"a million params":     {call(strings.Repeat(one, 1_000_000)), 413},
		"params that fit":      {call(strings.Repeat("<param><value/></param>", 40_000)), 400},
		"values that fit":      {call("<param><value><array><data>" + strings.Repeat("<value/>", 100_000) + "</data></array></value></param>"), 400},
		"a million deep":       {call("<param>" + strings.Repeat("<value><array><data>", deep)), 413},
		"deep in a megabyte":   {call("<param>" + strings.Repeat("<value><array><data>", 50_000)), 400},
		"deep structures":      {call("<param>" + strings.Repeat("<value><struct><member><name/>", 33)), 400},
		"tags without end":     {strings.Repeat("<a>", 300_000), 400},
		"many attributes":      {"<methodCall" + strings.Repeat(` a="b"`, 150_000) + ">", 400},
		"half a megabyte of <": {strings.Repeat("<", 500_000), 400},
		"comment without end":  {"<!--" + strings.Repeat("-", 500_000), 400},
		"comments":             {call(strings.Repeat("<!---->", 100_000)), 200},
		"sections":             {call("<param><value>" + strings.Repeat("<![CDATA[]]>", 80_000) + "</value></param>"), 200},
	} {
		h := handler(t, everybody)
		before := heap()
		w := post(h, tt.body)
		if w.Code != tt.status {
			t.Errorf("%s: got %d, want %d", name, w.Code, tt.status)
		}
		if strings.Contains(w.Body.String(), "root:") || w.Body.Len() > 1000 {
			t.Errorf("%s: got %.1000s", name, w.Body)
		}
		if grown := heap() - before; grown > 1<<20 {
			t.Errorf("%s: the heap has grown by %d bytes, want next to nothing", name, grown)
		}
	}
}

// checks counts passwords that are checked.
type checks struct{ n int }

func (c *checks) VerifyPassword(_ context.Context, user stanza.JID, _ string) error {
	c.n++
	switch user.Local() {
	case "nobody":
		return stanza.ErrNoAccount
	case "gone":
		return stanza.ErrAccountDisabled
	}
	return stanza.ErrNotAuthorized
}

// Neither the answer nor the work tells which accounts there are.
func TestUsersAreNotTold(t *testing.T) {
	c := new(checks)
	h := New(Host{Commands: registry(t), Permissions: permissions(everybody), Passwords: c})
	for _, user := range [][2]string{{"ana", "localhost"}, {"nobody", "localhost"}, {"gone", "localhost"}, {"nobody", "far.test"}} {
		c.n = 0
		login := structure{{"user", user[0]}, {"server", user[1]}, {"password", "x"}}
		expect(t, h, document("yes", login), nil, faultFailed, "Invalid authentication data")
		if c.n != 1 {
			t.Errorf("%v: %d passwords were checked, want one", user, c.n)
		}
	}
}

// The log has nothing of what is called with, whatever becomes of the call.
func TestSecretsInTheLog(t *testing.T) {
	var lines bytes.Buffer
	h := New(Host{
		Commands: registry(t), Permissions: permissions(public), Passwords: accounts{}, Tokens: accounts{},
		Log: slog.New(slog.NewTextHandler(&lines, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	login := func(pairs ...string) structure {
		var s structure
		for i := 0; i < len(pairs); i += 2 {
			s = append(s, member{pairs[i], pairs[i+1]})
		}
		return s
	}
	for _, params := range [][]any{
		{login("user", "ana", "server", "localhost", "password", "hush")},
		{login("user", "ana", "server", "localhost", "token", "hush")},
		{login("user", "hush@", "server", "hush hush", "password", "hush")},
		{login("user", "cy", "server", "localhost", "password", "hush")},
		{login("hush", "hush")},
		{login("host", "hush")},
		{"hush"},
	} {
		for _, method := range []string{"yes", "stop", "hush", "registered_users", "broken", "panics"} {
			r := httptest.NewRequest("POST", "/?token=hush", bytes.NewReader(document(method, params...)))
			r.Header.Set("Authorization", "Bearer hush")
			h.ServeHTTP(httptest.NewRecorder(), r)
		}
	}
	h.failures.Flush()
	if log := lines.String(); strings.Contains(log, "hush") || !strings.Contains(log, "authentication failed") {
		t.Errorf("got the log\n%s\nwant the attempts, and nothing secret", log)
	}
}
