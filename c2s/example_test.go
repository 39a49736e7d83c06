package c2s_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/tidewaiter/tidewaiter/c2s"
	"github.com/tidewaiter/tidewaiter/listen/listentest"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// house is a program of one's own with one domain and one user. Messages to
// the house are shown, all others are thrown away.
type house struct{}

func (house) IsLocal(domain string) bool { return domain == "house.example" }

func (house) VerifyPassword(_ context.Context, user stanza.JID, password string) error {
	if user.Local() != "ana" || password != "anchor" {
		return stanza.ErrNotAuthorized
	}
	return nil
}

func (house) Bind(_ context.Context, b stanza.Binding) (stanza.JID, error) {
	return b.JID.WithResource("door")
}

func (house) Admit(stanza.Binding) error { return nil }

func (house) Release(context.Context, stanza.JID, stanza.Sink) {}

func (house) Route(_ context.Context, s *stanza.Stanza) error {
	fmt.Println(s.From, "says", s.Inner)
	return nil
}

// A program that is a server for one user, here over a connection in memory. In
// earnest ln comes from net.Listen, Options.TLS holds a certificate, and
// passwords without TLS stay forbidden.
func Example() {
	ln := listentest.NewListener()
	o := c2s.Defaults()
	o.AllowPlainWithoutTLS = true
	server := c2s.New(c2s.Host{Domains: house{}, Router: house{}, Password: house{}})
	done := make(chan error)
	go func() { done <- server.Listen(context.Background(), ln, o) }()

	client := ln.Dial()
	const open = "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' version='1.0' to='house.example'>"
	answers := bufio.NewReader(client)
	for _, step := range []struct{ send, until string }{
		{open, "</stream:features>"},
		{"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>AGFuYQBhbmNob3I=</auth>", "<success"},
		{open, "</stream:features>"},
		{"<iq id='1' type='set'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>", "</iq>"},
		{"<message to='house.example'>ahoy</message></stream:stream>", "</stream:stream>"},
	} {
		_, _ = io.WriteString(client, step.send)
		for seen := ""; !strings.HasSuffix(seen, step.until); {
			b, err := answers.ReadByte()
			if err != nil {
				fmt.Println("the server is gone:", err)
				return
			}
			seen += string(b)
		}
	}
	_ = client.Close()
	_ = ln.Close() // no more clients; Listen returns when the last has gone
	fmt.Println("ended:", <-done)
	// Output:
	// ana@house.example/door says ahoy
	// ended: <nil>
}
