package s2s

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/xmppstream"
)

// The remote server cannot verify our keys, but has a stream of its own to us, which
// goes both ways: stanzas take that.
func TestOfferWhileOpening(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := outStart(t)
		r.send("1")
		p := r.peer().open(outDialback, outBidi)
		p.Expect("<bidi xmlns='urn:xmpp:bidi'/><db:result from='here.test' to='there.test'>")
		out := xmppstream.NewOutbox(&xmppstream.OutboxOptions{}, nil)
		release, ok := r.srv.out.adopt(pair{"here.test", "there.test"}, out) // it has proved its domain
		t.Log("adopted:", ok)
		p.Send("<db:result from='there.test' to='here.test' type='error'><error type='cancel'><remote-server-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></db:result>")
		time.Sleep(5 * time.Second)
		r.send("2")
		synctest.Wait()
		for _, st := range r.routed() {
			t.Errorf("got back %s, want it to be sent by the stream that is there", st.ID)
		}
		p.Close()
		if ok {
			out.Drain(nil)
			release()
		}
	})
}

// A stream of ours that went both ways is over: that of the remote server is used.
func TestAdoptAfterOurs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := outStart(t)
		r.send("1")
		p := r.peer().open(outDialback, outBidi)
		p.Expect("<bidi xmlns='urn:xmpp:bidi'/>")
		p.dialback()
		p.messages(1)
		p.close()
		synctest.Wait()
		out := xmppstream.NewOutbox(&xmppstream.OutboxOptions{}, nil)
		release, ok := r.srv.out.adopt(pair{"here.test", "there.test"}, out)
		r.send("2")
		r.noPeer()
		if n := out.Load().Queued; n != 1 {
			t.Errorf("%d stanzas wait in the stream of the remote server, want 1", n)
		}
		if ok {
			out.Drain(nil)
			release()
		}
	})
}
