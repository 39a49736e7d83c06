package component_test

import (
	"bufio"
	"context"
	"crypto/sha1"
	"fmt"
	"io"
	"strings"

	"github.com/tidewaiter/tidewaiter/component"
	"github.com/tidewaiter/tidewaiter/listen/listentest"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// quay is a program of one's own. What components send is shown.
type quay struct{}

func (quay) RegisterDomain(domain string, s stanza.Sink) (release func(), err error) {
	fmt.Println("from now on", domain, "is there")
	return func() { fmt.Println(domain, "is gone") }, nil
}

func (quay) Route(_ context.Context, s *stanza.Stanza) error {
	fmt.Println(s.From, "says", s.Inner)
	return nil
}

// A program that takes components, here over a connection in memory. In earnest ln
// comes from net.Listen.
func Example() {
	ln := listentest.NewListener()
	o := component.Defaults()
	o.Hosts = map[string]component.HostOptions{"bot.example": {Password: "anchor"}}
	server := component.New(component.Host{Router: quay{}})
	done := make(chan error)
	go func() { done <- server.Listen(context.Background(), ln, o) }()

	bot := ln.Dial()
	answers := bufio.NewReader(bot)
	until := func(end string) (seen string) {
		for !strings.HasSuffix(seen, end) {
			b, err := answers.ReadByte()
			if err != nil {
				fmt.Println("the server is gone:", err)
				return seen
			}
			seen += string(b)
		}
		return seen
	}
	_, _ = io.WriteString(bot, "<stream:stream xmlns='jabber:component:accept' xmlns:stream='http://etherx.jabber.org/streams' to='bot.example'>")
	_, id, _ := strings.Cut(until("from='bot.example'>"), " id='")
	id, _, _ = strings.Cut(id, "'")
	_, _ = fmt.Fprintf(bot, "<handshake>%x</handshake>", sha1.Sum([]byte(id+"anchor")))
	until("<handshake/>")
	_, _ = io.WriteString(bot, "<message from='bot.example' to='ana@house.example'>ahoy</message></stream:stream>")
	until("</stream:stream>")
	_ = bot.Close()
	_ = ln.Close() // no more components; Listen returns when the last has gone
	fmt.Println("ended:", <-done)
	// Output:
	// from now on bot.example is there
	// bot.example says ahoy
	// bot.example is gone
	// ended: <nil>
}
