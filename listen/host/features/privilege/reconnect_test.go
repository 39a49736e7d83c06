package privilege

import (
	"context"
	"testing"

	"github.com/tidewaiter/tidewaiter/acl"
	"github.com/tidewaiter/tidewaiter/listen/listentest"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// slowStore is a router for which it takes a while to find out who is there.
type slowStore struct {
	router
	reading, read chan struct{}
}

func (r *slowStore) Presences(context.Context, string, bool, func(*stanza.Stanza) error) error {
	close(r.reading)
	<-r.read
	return nil
}

// A component that comes again at once gets an answer to what it asks, while the
// end of its last stream is still being dealt with.
func TestRequestOfNewStream(t *testing.T) {
	r := &slowStore{reading: make(chan struct{}), read: make(chan struct{})}
	s := New(Config{Router: r, Hosts: func() []string { return []string{"a.test"} }})
	o := &Options{IQ: map[string]Requests{"urn:x": {Both: acl.All}}}
	watching := *o
	watching.Presence.ManagedEntity = acl.All
	s.Configure(stanza.PerHost[*Options]{Value: &watching})
	before, after := new(listentest.Sink), new(listentest.Sink)
	s.Connected(t.Context(), "c.test", before)
	<-r.reading
	s.Configure(stanza.PerHost[*Options]{Value: o}) // so that the fake is asked once
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.Disconnected(context.Background(), "c.test", before)
	}()
	for gone := false; !gone; { // until it waits for the introduction
		s.mu.Lock()
		gone = len(s.streams) == 0
		s.mu.Unlock()
	}
	s.Connected(t.Context(), "c.test", after)
	defer s.Disconnected(context.Background(), "c.test", after)
	iq := parse(t, "<iq from='c.test' to='x@a.test' type='get' id='o'><privileged_iq xmlns='urn:xmpp:privilege:2'>"+
		"<iq xmlns='jabber:client' type='get' id='i' to='b.test'><x xmlns='urn:x'/></iq></privileged_iq></iq>")
	if _, err := s.HandleIQ(t.Context(), iq, stanza.Peer{}); err != nil {
		t.Fatal(err)
	}
	close(r.read)
	<-ended
	if !s.Answer(t.Context(), r.spoken[0].Result("")) || len(r.delivered) != 1 {
		t.Errorf("the request of the new stream is forgotten: %d answers, want 1", len(r.delivered))
	}
}
