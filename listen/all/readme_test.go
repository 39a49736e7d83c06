package all_test

import (
	"context"
	"crypto/tls"
	"net"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/tidewaiter/tidewaiter/c2s"
	"github.com/tidewaiter/tidewaiter/listen/host"
	"github.com/tidewaiter/tidewaiter/listen/listentest"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// embed is the example of the README, to the letter.
func embed(ctx context.Context, ln net.Listener, ana stanza.JID, tlsConfig *tls.Config) error {
	h, err := host.New(host.Config{}) // serves localhost, keeps everything in memory
	if err != nil {
		return err
	}
	if err := h.Accounts.Create(ctx, ana, "anchor"); err != nil {
		return err
	}
	o := c2s.Defaults()
	o.TLS, o.StartTLSRequired = tlsConfig, true
	module := c2s.New(c2s.Host{Domains: h.Local, Router: h.Local, Session: h.Local, SCRAM: h.Accounts, Password: h.Accounts, IQ: h.IQ})
	return module.Listen(ctx, ln, o) // until ln is closed and the sessions have ended, or ctx is cancelled
}

func TestReadmeExample(t *testing.T) {
	cert, pool := listentest.Certificate(t, "localhost")
	ln := listentest.NewListener()
	ana, err := stanza.ParseJID("ana@localhost")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() { done <- embed(t.Context(), ln, ana, &tls.Config{Certificates: []tls.Certificate{cert}}) }()
	c := listentest.NewClient(t, ln.Dial())
	c.Send(header)
	c.Expect("</stream:features>")
	c.Send("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
	c.Expect("<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
	c.StartTLS(&tls.Config{ServerName: "localhost", RootCAs: pool})
	c.Send(header)
	c.Expect("</stream:features>")
	c.Send(plain("ana", password))
	c.Expect("<success")
	c.Close()
	ln.Close()
	if err := <-done; err != nil {
		t.Errorf("Listen: %v", err)
	}
}

// The README shows the code that this test has run.
func TestReadmeShowsTheExample(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile("readme_test.go")
	if err != nil {
		t.Fatal(err)
	}
	shown := regexp.MustCompile("(?s)```go\n(.*?)```").FindSubmatch(readme)
	run := regexp.MustCompile(`(?s)func embed\(.*?\n(.*?)\n}\n`).FindSubmatch(source)
	if shown == nil || run == nil {
		t.Fatal("no example found")
	}
	if got, want := string(shown[1]), strings.ReplaceAll("\n"+string(run[1]), "\n\t", "\n")[1:]+"\n"; got != want {
		t.Errorf("the README shows\n%s\nthe test runs\n%s", got, want)
	}
}
