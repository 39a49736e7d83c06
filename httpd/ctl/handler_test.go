package ctl

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/tidewaiter/tidewaiter/acl"
	"github.com/tidewaiter/tidewaiter/httpd"
	"github.com/tidewaiter/tidewaiter/listen/command"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// permit permits everything but the command deny, to who comes from here alone.
type permit struct{}

func (permit) Permits(s acl.Subject, c acl.Command) bool {
	return s == acl.Subject{From: "ejabberd_ctl"} && c.Name != "deny"
}

// harbour returns commands with every type of argument and result.
func harbour(t *testing.T) *command.Registry {
	t.Helper()
	text := func(names ...string) (list []command.Field) {
		for _, n := range names {
			list = append(list, command.Field{Name: n, Type: command.String})
		}
		return list
	}
	echo := func(_ context.Context, a command.Args) (any, error) {
		if v, ok := a["value"]; ok {
			return v, nil
		}
		return a, nil
	}
	same := func(name string, t command.Type) command.Command {
		f := command.Field{Name: "value", Type: t}
		return command.Command{Name: name, Args: []command.Field{f}, Result: f, Run: echo}
	}
	res := func(t command.Type, v any, err error) func(name string) command.Command {
		return func(name string) command.Command {
			return command.Command{Name: name, Result: command.Field{Name: "res", Type: t}, Run: func(context.Context, command.Args) (any, error) { return v, err }}
		}
	}
	ship := command.Tuple{{Name: "name", Type: command.String, Description: "painted on its bow"}, {Name: "berth", Type: command.Integer}}
	var reg command.Registry
	if err := reg.Add(
		command.Command{
			Name: "moor", Description: "Moors ships. They stay until they leave, or until the tide takes them, which a harbour master is to prevent by all means.",
			Tags: []string{"ships", "admin"},
			Args: []command.Field{
				{Name: "host", Type: command.String, Description: "the virtual host"},
				{Name: "ships", Type: command.List{Of: command.Field{Name: "ship", Type: ship}}},
				{Name: "days", Type: command.Integer, Description: "how long"},
			},
			Result: command.Field{Name: "ships", Type: command.List{Of: command.Field{Name: "ship", Type: ship}}},
			Run:    func(_ context.Context, a command.Args) (any, error) { return a.List("ships"), nil },
		},
		same("text", command.String), same("number", command.Integer),
		same("texts", command.List{Of: text("item")[0]}), same("pair", command.Tuple(text("a", "b"))),
		same("pairs", command.List{Of: command.Field{Name: "pair", Type: command.Tuple(text("a", "b"))}}),
		same("nested", command.Tuple{text("a")[0], {Name: "list", Type: command.List{Of: text("item")[0]}}}),
		func() command.Command {
			c := res(command.ResCode, true, nil)("yes")
			c.Description = "Is successful, whatever the weather and the tide are, and whoever asks for it at whatever time of the day."
			return c
		}(), res(command.ResCode, false, nil)("no"),
		res(command.ResTuple, "moored", nil)("said"), res(command.String, "", nil)("silent"), res(command.Integer, 1, nil)("deny"),
		res(command.Integer, nil, command.Errorf(command.NotFound, "there is no ship \x1b[2J"))("lost"),
		res(command.Integer, nil, errors.New("the secret"))("sunk"),
		func() command.Command { c := res(command.Integer, 1, nil)("aged"); c.Args = text("old"); return c }(),
		func() command.Command { c := res(command.Integer, 2, nil)("aged"); c.Since = 2; return c }(),
	); err != nil {
		t.Fatal(err)
	}
	return &reg
}

// serve has a handler answer on a unix socket until the test ends.
func serve(t *testing.T, h http.Handler) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "s")
	ln, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(h)
	s.Listener.Close()
	s.Listener = ln
	s.Start()
	t.Cleanup(s.Close)
	return path
}

// client returns a client of a unix socket.
func client(t *testing.T, path string) *http.Client {
	t.Helper()
	tr := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", path)
	}}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr}
}

// run runs words, and returns the text and the exit status.
func run(t *testing.T, c *http.Client, words ...string) (text, status string) {
	t.Helper()
	body, err := json.Marshal(words)
	if err != nil {
		t.Fatal(err)
	}
	r, err := c.Post("http://ctl/ctl", "application/json", strings.NewReader(string(body)))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	answer, err := io.ReadAll(r.Body)
	if err != nil || r.StatusCode != http.StatusOK {
		t.Fatalf("got %s, %v, want 200", r.Status, err)
	}
	return string(answer), r.Header.Get("status-code")
}

func TestRun(t *testing.T) {
	c := client(t, serve(t, New(Host{Commands: harbour(t), Permissions: permit{}})))
	tests := []struct {
		name   string
		words  []string
		text   string
		status string
	}{
		{"text", []string{"text", "a b,c:d"}, "a b,c:d\n", "0"},
		{"text of lines", []string{"text", "a\n\tb\n"}, "a\n\tb\n", "0"},
		{"text of nothing", []string{"text", ""}, "", "0"},
		{"text that is for terminals", []string{"text", "\x1b]0;x\x07\u009b\r"}, `\x1b]0;x\a\u009b\r` + "\n", "0"},
		{"text that looks like JSON", []string{"text", "[1]"}, "[1]\n", "0"},
		{"number", []string{"number", "-12"}, "-12\n", "0"},
		{"no number", []string{"number", "xii"}, "error: argument value: want an integer, got something else\n", "2"},
		{"list", []string{"texts", "a,,b c"}, "a\n\nb c\n", "0"},
		{"list of one", []string{"texts", "a:b"}, "a:b\n", "0"},
		{"empty list", []string{"texts", ""}, "", "0"},
		{"list as JSON", []string{"texts", `["a,b", "c\nd"]`}, "a,b\nc\\nd\n", "0"},
		{"list as broken JSON", []string{"texts", `["a`}, "error: argument value: it begins like JSON, and is none\n", "2"},
		{"list as JSON and more", []string{"texts", `["a"] b`}, "error: argument value: there is something after the JSON\n", "2"},
		{"list as JSON of another type", []string{"texts", `[1]`}, "error: argument value: element 0: want a string, got a number\n", "2"},
		{"tuple", []string{"pair", "a:b:c"}, "a\tb:c\n", "0"},
		{"tuple as JSON", []string{"pair", `{"a": "x\ty", "b": ""}`}, "x\\ty\t\n", "0"},
		{"tuple with a part missing", []string{"pair", "a"}, "error: argument value: want 2 parts with colons between them, or a JSON object\n", "2"},
		{"list of tuples", []string{"pairs", "a:b,c:d"}, "a\tb\nc\td\n", "0"},
		{"list of tuples as JSON", []string{"pairs", `[{"a":"x","b":"y"}]`}, "x\ty\n", "0"},
		{"list in a tuple", []string{"nested", "a:b"}, "error: argument value: a list within another value has to be written as JSON\n", "2"},
		{"list in a tuple as JSON", []string{"nested", `{"a":"x","list":["y","z"]}`}, "x\ty,z\n", "0"},
		{"several arguments", []string{"moor", "one.test", "tern:1,gull:2", "3"}, "tern\t1\ngull\t2\n", "0"},
		{"successful", []string{"yes"}, "", "0"},
		{"not successful", []string{"no"}, "", "1"},
		{"says something", []string{"said"}, "moored\n", "0"},
		{"says nothing", []string{"silent"}, "", "0"},
		{"fails", []string{"lost"}, "error: there is no ship \\x1b[2J\n", "1"},
		{"fails by itself", []string{"sunk"}, "error: internal error\n", "1"},
		{"denied", []string{"deny"}, "error: access to the command is denied\n", "1"},
		{"unknown", []string{"ships_moor"}, "error: there is no command \"ships_moor\"; help lists them\n", "2"},
		{"nearly known", []string{"tex"}, "error: there is no command \"tex\", did you mean text?\n", "2"},
		{"too few", []string{"moor", "one.test"}, "error: got 1 argument, want: moor HOST SHIPS DAYS\n", "2"},
		{"too many", []string{"yes", "a", "b"}, "error: got 2 arguments, want: yes\n", "2"},
		{"newest", []string{"aged"}, "2\n", "0"},
		{"older", []string{"--version", "1", "aged", "x"}, "1\n", "0"},
		{"no version", []string{"--version"}, "error: --version wants the number of a version of the API\n", "2"},
		{"strange version", []string{"--version", "new", "aged"}, "error: --version wants the number of a version of the API\n", "2"},
		{"version of nothing", []string{"--version", "1", "help", "x", "y"}, "error: want help or help COMMAND\n", "2"},
		{"help on nothing", []string{"help", "pai"}, "error: there is no command \"pai\", did you mean pair?\n", "2"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if text, status := run(t, c, tt.words...); text != tt.text || status != tt.status {
				t.Errorf("got %q and status %s, want %q and %s", text, status, tt.text, tt.status)
			}
		})
	}
}

var update = flag.Bool("update", false, "write the files that the tests compare with")

func TestHelp(t *testing.T) {
	c := client(t, serve(t, New(Host{Commands: harbour(t), Permissions: permit{}})))
	for _, tt := range []struct{ file, status, words string }{
		{"help", "0", "help"}, {"help", "2", ""}, {"help-moor", "0", "help moor"}, {"help-nested", "0", "help nested"},
		{"help-texts", "0", "help texts"}, {"help-yes", "0", "help yes"}, {"help-aged", "0", "--version 0 help aged"},
	} {
		t.Run(tt.words, func(t *testing.T) {
			text, status := run(t, c, strings.Fields(tt.words)...)
			file := filepath.Join("testdata", tt.file+".txt")
			if *update {
				if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if text != string(want) || status != tt.status {
				t.Errorf("status %s, want %s; got\n%s\nwant\n%s", status, tt.status, text, want)
			}
		})
	}
}

func TestRequests(t *testing.T) {
	h := New(Host{Commands: harbour(t), Permissions: permit{}})
	c := client(t, serve(t, h))
	for _, tt := range []struct {
		name, method, body string
		status             int
	}{
		{"get", "GET", "", 405},
		{"nothing", "POST", "", 400},
		{"no JSON", "POST", "yes", 400},
		{"no words", "POST", "[1]", 400},
		{"object", "POST", `{"a":"b"}`, 400},
		{"null", "POST", `null`, 200},
		{"too long", "POST", `["text","` + strings.Repeat("a", maxBody) + `"]`, 413},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r, err := http.NewRequest(tt.method, "http://ctl/", strings.NewReader(tt.body))
			if err != nil {
				t.Fatal(err)
			}
			a, err := c.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			a.Body.Close()
			if a.StatusCode != tt.status || (a.Header.Get(StatusHeader) != "") != (tt.status == 200) {
				t.Errorf("got %d with the exit status %q, want %d", a.StatusCode, a.Header.Get(StatusHeader), tt.status)
			}
		})
	}
}

// Nobody comes by the network, nor through a proxy.
func TestOthersAreRefused(t *testing.T) {
	ran := false
	var reg command.Registry
	if err := reg.Add(command.Command{Name: "x", Result: command.Field{Name: "res", Type: command.ResCode}, Run: func(context.Context, command.Args) (any, error) {
		ran = true
		return true, nil
	}}); err != nil {
		t.Fatal(err)
	}
	h := New(Host{Commands: &reg, Permissions: permit{}})
	tcp := httptest.NewServer(h)
	defer tcp.Close()
	forwarded := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.ServeHTTP(w, httpd.WithInfo(r, httpd.Info{Client: netip.MustParseAddrPort("127.0.0.1:1").Addr()}))
	}))
	plain := serve(t, h)
	proxied := func(field, value string) func() (*http.Response, error) {
		return func() (*http.Response, error) {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://ctl/ctl", strings.NewReader(`["x"]`))
			if err != nil {
				return nil, err
			}
			r.Header.Set(field, value)
			return client(t, plain).Do(r)
		}
	}
	for name, get := range map[string]func() (*http.Response, error){
		"proxy that nobody trusts":        proxied("X-Forwarded-For", "203.0.113.9"),
		"proxy with another field":        proxied("Forwarded", "for=203.0.113.9"),
		"proxy that says who it is":       proxied("Via", "1.1 relay"),
		"proxy that does not say of whom": proxied("X-Forwarded-For", ""),
		"TCP": func() (*http.Response, error) {
			return tcp.Client().Post(tcp.URL+"/ctl", "", strings.NewReader(`["x"]`))
		},
		"forwarded": func() (*http.Response, error) {
			return client(t, forwarded).Post("http://ctl/ctl", "", strings.NewReader(`["x"]`))
		},
		"no connection": func() (*http.Response, error) {
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequest("POST", "/ctl", strings.NewReader(`["x"]`)))
			return w.Result(), nil
		},
	} {
		r, err := get()
		if err != nil {
			t.Fatal(err)
		}
		r.Body.Close()
		if r.StatusCode != http.StatusForbidden || ran {
			t.Errorf("%s: got %d, and the command ran: %v; want %d", name, r.StatusCode, ran, http.StatusForbidden)
		}
	}
}

// A listener of package httpd on a unix socket has the handler at its path.
func TestListener(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	ln, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	o := httpd.Defaults()
	o.RequestHandlers = map[string]string{"/ctl": "ejabberd_ctl"}
	m := httpd.New(httpd.Host{Handlers: map[string]http.Handler{"ejabberd_ctl": New(Host{Commands: harbour(t), Permissions: permit{}})}})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- m.Listen(ctx, ln, o) }()
	c := client(t, path)
	if text, status := run(t, c, "pair", "a:b"); text != "a\tb\n" || status != "0" {
		t.Errorf("got %q and status %s, want both parts", text, status)
	}
	c.CloseIdleConnections()
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("Listen: got %v, want %v", err, context.Canceled)
	}
}

// The log says what was called, and nothing of the values.
func TestLog(t *testing.T) {
	var out strings.Builder
	log := slog.New(slog.NewTextHandler(&out, nil))
	path := serve(t, New(Host{Commands: harbour(t), Permissions: permit{}, Log: log}))
	if text, _ := run(t, client(t, path), "text", "s3cret"); text != "s3cret\n" {
		t.Fatalf("got %q", text)
	}
	if !strings.Contains(out.String(), "command=text from=ejabberd_ctl") || strings.Contains(out.String(), "s3cret") {
		t.Errorf("log: got %s", out.String())
	}
}

func TestConcurrentCalls(t *testing.T) {
	path := serve(t, New(Host{Commands: harbour(t), Permissions: permit{}}))
	var wg sync.WaitGroup
	for i := range 16 {
		c := client(t, path)
		wg.Go(func() {
			for j := range 20 {
				want := fmt.Sprintf("%d", i*100+j)
				if text, status := run(t, c, "number", want); text != want+"\n" || status != "0" {
					t.Errorf("got %q and status %s, want %s", text, status, want)
				}
			}
		})
	}
	wg.Wait()
}

// A command ends when who has called it leaves.
func TestLeaving(t *testing.T) {
	begun, ended := make(chan struct{}), make(chan error, 1)
	var reg command.Registry
	if err := reg.Add(command.Command{Name: "wait", Result: command.Field{Name: "res", Type: command.ResCode}, Run: func(ctx context.Context, _ command.Args) (any, error) {
		close(begun)
		<-ctx.Done()
		ended <- ctx.Err()
		return true, nil
	}}); err != nil {
		t.Fatal(err)
	}
	c := client(t, serve(t, New(Host{Commands: &reg, Permissions: permit{}})))
	ctx, cancel := context.WithCancel(t.Context())
	r, err := http.NewRequestWithContext(ctx, "POST", "http://ctl/", strings.NewReader(`["wait"]`))
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		<-begun
		cancel()
	}()
	if _, err := c.Do(r); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("the command ended with %v, want %v", err, context.Canceled)
	}
}
