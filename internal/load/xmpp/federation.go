package xmpp

import (
	"context"

	"github.com/tidewaiter/tidewaiter/internal/load/meter"
)

// Federation has users of two servers send messages to one another: of the pairs
// of Chat one half sends from the server of the target to its peer, the other
// half the opposite way. Before it measures, one message each way opens what
// connects the servers.
type Federation struct {
	Chat // Bare, Managed and Idle have no effect

	// Peer is the other server, with the accounts that it has.
	Peer *Target
}

// Run logs the clients in, has them send, and checks what arrives.
func (w Federation) Run(ctx context.Context, t *Target) (meter.Result, error) {
	r := meter.Result{Workload: "federation"}
	w.Bare, w.Managed, w.Idle = false, false, 0
	if err := t.room(2 * w.Pairs); err != nil {
		return r, err
	}
	r, err := t.start("federation")
	if err != nil {
		return r, err
	}
	w.describe(&r)
	r.Set("domain", t.Domain)
	r.Set("peer", w.Peer.Domain)
	run := newRun()
	o := options{resource: "chat" + run, buffer: chatBuffer}
	here, err := t.loginMany(ctx, 0, w.Pairs, o)
	if err != nil {
		return r, err
	}
	defer t.closeMany(here)
	there, err := w.Peer.loginMany(ctx, 0, w.Pairs, o)
	if err != nil {
		return r, err
	}
	defer w.Peer.closeMany(there)
	c := &chat{Chat: w.Chat, t: t, peer: w.Peer.PID, first: min(w.Pairs, 2)}
	texts := newTexts(run, max(w.Body, fillerAt), w.Rich)
	for i := range w.Pairs {
		sender, receiver := here[i], there[i]
		if i%2 == 1 {
			sender, receiver = receiver, sender
		}
		c.add(sender, receiver, texts, receiver.JID)
	}
	spent, err := c.run(ctx)
	if err != nil {
		return r, err
	}
	c.report(&r, spent)
	return r, t.finish(&r, 0, here[0])
}
