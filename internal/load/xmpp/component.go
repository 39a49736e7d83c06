package xmpp

import (
	"bytes"
	"context"
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/load/meter"
)

// Component has clients send messages to an external component (XEP-0114) that
// is part of this process and returns them: what is counted are round trips. The
// fields of Chat apply to Clients instead of pairs.
type Component struct {
	Chat // Bare, Managed and Idle have no effect, Pairs is Clients

	Clients int
	// Dial connects to the server's port for components.
	Dial func(ctx context.Context) (net.Conn, error)
	// Domain is the component's, Secret what it proves it by.
	Domain, Secret string
}

// Run attaches the component, logs the clients in, has them send, and checks
// what comes back.
func (w Component) Run(ctx context.Context, t *Target) (meter.Result, error) {
	w.Pairs, w.Bare, w.Managed, w.Idle = w.Clients, false, false, 0
	if err := t.room(w.Clients + 1); err != nil {
		return meter.Result{Workload: "component"}, err
	}
	r, err := t.start("component")
	if err != nil {
		return r, err
	}
	w.describe(&r)
	run := newRun()
	echo, err := w.attach(ctx, t)
	if err != nil {
		return r, fmt.Errorf("component %s: %w", w.Domain, err)
	}
	var echoing sync.WaitGroup
	echoing.Go(func() {
		if err := echo.echo(); !isTimeout(err) {
			t.complain("component %s: %v", w.Domain, err)
		}
	})
	defer func() {
		echo.interrupt()
		echoing.Wait()
		echo.Close()
	}()
	clients, err := t.loginMany(ctx, 0, w.Clients, options{resource: "trip" + run, buffer: chatBuffer})
	if err != nil {
		return r, err
	}
	defer t.closeMany(clients)
	c := &chat{Chat: w.Chat, t: t, first: min(w.Clients, 1)}
	texts := newTexts(run, max(w.Body, fillerAt), w.Rich)
	to := "echo@" + w.Domain
	for _, one := range clients {
		p := c.add(one, one, texts, to)
		if t.NoFrom {
			p.author.sign(one.JID)
		} else {
			p.check.from = to
		}
	}
	spent, err := c.run(ctx)
	if err != nil {
		return r, err
	}
	c.report(&r, spent)
	r.Unit = "round trips"
	return r, t.finish(&r, 0, clients[0])
}

// attach connects the component and proves who it is.
// See XEP-0114, section 3.
func (w Component) attach(ctx context.Context, t *Target) (*Client, error) {
	conn, err := w.Dial(ctx)
	if err != nil {
		return nil, err
	}
	_ = conn.SetDeadline(time.Now().Add(t.loginTimeout()))
	c := newClient(ctx, conn, chatBuffer)
	if err := w.handshake(c); err != nil {
		c.abort()
		return nil, err
	}
	_ = conn.SetDeadline(time.Time{})
	return c, nil
}

func (w Component) handshake(c *Client) error {
	if err := c.send("<?xml version='1.0'?><stream:stream to='" + w.Domain +
		"' xmlns='jabber:component:accept' xmlns:stream='http://etherx.jabber.org/streams'>"); err != nil {
		return err
	}
	if err := c.header(); err != nil {
		return err
	}
	sum := sha1.Sum(append(unescape(nil, attribute(c.opening, " id=")), w.Secret...))
	if err := c.send("<handshake>" + hex.EncodeToString(sum[:]) + "</handshake>"); err != nil {
		return err
	}
	_, err := c.expect("handshake")
	return err
}

// echo returns each message to its sender until it is interrupted. What came at
// once is answered at once.
func (c *Client) echo() error {
	for {
		if err := c.fill(); err != nil {
			return err
		}
		c.begin()
		el, err := c.buffered()
		for ; el != nil; el, err = c.buffered() {
			c.out = appendReturned(c.out, el)
		}
		if wrong := c.flush(); wrong != nil {
			return wrong
		}
		if err != nil {
			return err
		}
	}
}

// appendReturned appends a message with its addresses exchanged. Errors, empty
// messages and everything else are not answered.
func appendReturned(dst, el []byte) []byte {
	tag := startTag(el)
	if !bytes.HasPrefix(el, messageStart) || len(tag) == len(el) || string(attribute(tag, " type=")) == "error" {
		return dst
	}
	dst = append(dst, "<message type='chat' from='"...)
	dst = append(dst, attribute(tag, " to=")...)
	dst = append(dst, "' to='"...)
	dst = append(dst, attribute(tag, " from=")...)
	dst = append(dst, "' id='"...)
	dst = append(dst, attribute(tag, " id=")...)
	dst = append(dst, "'>"...)
	return append(dst, el[len(tag):]...)
}
