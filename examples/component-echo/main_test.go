package main

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"mellium.im/xmpp/jid"

	"github.com/tidewaiter/tidewaiter/component"
	"github.com/tidewaiter/tidewaiter/listen/host"
	"github.com/tidewaiter/tidewaiter/listen/listentest"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const domain = "echo.localhost"

// server is a router with a listener for components and one user.
type server struct {
	*host.Local
	ln   *listentest.Listener
	user *listentest.Sink // ana@localhost/pier
}

func start(t *testing.T) *server {
	t.Helper()
	o := host.Defaults()
	o.Hosts = []string{"localhost"}
	local, err := host.NewLocal(o, nil)
	if err != nil {
		t.Fatal(err)
	}
	s := &server{local, listentest.NewListener(), new(listentest.Sink)}
	ana, _ := stanza.ParseJID("ana@localhost/pier")
	if _, err := local.Bind(t.Context(), stanza.Binding{JID: ana, Sink: s.user}); err != nil {
		t.Fatal(err)
	}
	options := component.Defaults()
	options.Hosts = map[string]component.HostOptions{domain: {Password: "anchor"}}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- component.New(component.Host{Router: local}).Listen(ctx, s.ln, options) }()
	t.Cleanup(func() { cancel(); <-done })
	return s
}

func (s *server) dial(context.Context) (net.Conn, error) { return s.ln.Dial(), nil }

// ask routes a stanza from the user, and returns the answer.
func (s *server) ask(t *testing.T, text string) string {
	t.Helper()
	st, err := stanza.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Route(t.Context(), st); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), listentest.Timeout)
	defer cancel()
	answer, err := s.user.Next(ctx)
	if err != nil {
		t.Fatalf("no answer to %s: %v", text, err)
	}
	return answer.String()
}

// echoes runs the bot until the end of the test.
func (s *server) echoes(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- stay(ctx, s.dial, jid.MustParse(domain), []byte("anchor")) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("stay: got %v, want nil", err)
		}
	})
	synctest.Wait()
	if !s.Serves(domain) {
		t.Fatal("the bot is not there")
	}
}

func TestEcho(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := start(t)
		s.echoes(t)
		tests := []struct {
			name, ask string
			want      []string
		}{
			{"chat", "<message from='ana@localhost/pier' to='hello@" + domain + "' type='chat' id='1'><body>ahoy &lt;you></body></message>",
				[]string{"from='hello@" + domain + "'", "type='chat'", "id='1'", ">ahoy &lt;you"}},
			{"normal", "<message from='ana@localhost/pier' to='" + domain + "'><body>ahoy</body></message>", []string{">ahoy</body>"}},
			{"what it is", "<iq from='ana@localhost/pier' to='" + domain + "' type='get' id='2'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>",
				[]string{"type='result'", "id='2'", `category="client"`, `type="bot"`}},
			{"ping", "<iq from='ana@localhost/pier' to='" + domain + "' type='get' id='3'><ping xmlns='urn:xmpp:ping'/></iq>", []string{"type='result'", "id='3'"}},
			{"something else", "<iq from='ana@localhost/pier' to='" + domain + "' type='set' id='4'><x xmlns='urn:x'/></iq>",
				[]string{"type='error'", "id='4'", "service-unavailable"}},
		}
		for _, tt := range tests {
			got := s.ask(t, tt.ask)
			for _, want := range tt.want {
				if !strings.Contains(got, want) {
					t.Errorf("%s: got %s, want %s in it", tt.name, got, want)
				}
			}
		}
		s.ask(t, "<presence from='ana@localhost/pier'/>") // comes back: the user is there
		if got := s.ask(t, "<presence from='ana@localhost' to='"+domain+"' type='subscribe'/>"); !strings.Contains(got, "type='subscribed'") {
			t.Errorf("subscription: got %s, want it granted", got)
		}
	})
}

// Errors and what has no text are passed over, and whatever comes after is not.
func TestSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := start(t)
		s.echoes(t)
		for _, text := range []string{
			"<message from='ana@localhost/pier' to='" + domain + "' type='error'><body>x</body></message>",
			"<message from='ana@localhost/pier' to='" + domain + "' type='headline'><body>x</body></message>",
			"<message from='ana@localhost/pier' to='" + domain + "'><composing xmlns='http://jabber.org/protocol/chatstates'/></message>",
			"<presence from='ana@localhost/pier' to='" + domain + "'/>",
			"<iq from='ana@localhost/pier' to='" + domain + "' type='result' id='1'/>",
		} {
			st, err := stanza.Parse(text)
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Route(t.Context(), st); err != nil {
				t.Fatal(err)
			}
		}
		if got := s.ask(t, "<message from='ana@localhost/pier' to='"+domain+"'><body>last</body></message>"); !strings.Contains(got, "last") {
			t.Errorf("got %s, want the last message back", got)
		}
	})
}

// The bot comes back when the connection is lost.
func TestReconnect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := start(t)
		var last net.Conn
		dial := func(context.Context) (net.Conn, error) {
			last = s.ln.Dial()
			return last, nil
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- stay(ctx, dial, jid.MustParse(domain), []byte("anchor")) }()
		for range 3 {
			synctest.Wait()
			if !s.Serves(domain) {
				t.Fatal("the bot is not there")
			}
			_ = last.Close()
			time.Sleep(firstPause + time.Second)
		}
		cancel()
		if err := <-done; err != nil {
			t.Errorf("stay: got %v, want nil", err)
		}
	})
}

// A server that does not want the bot is not asked again.
func TestRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := start(t)
		for name, tt := range map[string]struct{ domain, secret string }{
			"wrong secret":   {domain, "wrong"},
			"unknown domain": {"other.localhost", "anchor"},
		} {
			err := stay(t.Context(), s.dial, jid.MustParse(tt.domain), []byte(tt.secret))
			if err == nil || !strings.Contains(err.Error(), tt.domain+" is refused") || !strings.Contains(err.Error(), "not-authorized") {
				t.Errorf("%s: got %v, want the refusal", name, err)
			}
		}
	})
}

func TestReadSecret(t *testing.T) {
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte("from file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct{ name, file, env, arg, want string }{
		{"file first", file, "from env", "from arg", "from file"},
		{"then the environment", "", "from env", "from arg", "from env"},
		{"then the argument", "", "", "from arg", "from arg"},
		{"none", "", "", "", ""},
		{"no such file", file + "x", "from env", "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Setenv("ECHO_SECRET", tt.env)
			got, err := readSecret(tt.file, tt.arg)
			if string(got) != tt.want || (err == nil) != (tt.want != "") {
				t.Errorf("got %q, %v, want %q", got, err, tt.want)
			}
		})
	}
}

func TestRunErrors(t *testing.T) {
	t.Setenv("ECHO_SECRET", "")
	for name, d := range map[string]string{"-domain": "a@@b", "no secret": domain} {
		if err := run(t.Context(), "localhost:1", d, "", ""); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("got %v, want an error that says %s", err, name)
		}
	}
}
