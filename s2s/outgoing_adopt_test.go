package s2s

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/tidewaiter/tidewaiter/internal/xmppstream"
	"github.com/tidewaiter/tidewaiter/listen/listentest"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// outIncoming is a stream of the server of there.test that goes both ways.
type outIncoming struct {
	out  *xmppstream.Outbox
	peer *outPeer
}

func (r *outRig) outIncoming() *outIncoming {
	ours, theirs := listentest.NewConn(netip.MustParseAddrPort("192.0.2.7:40000"), netip.MustParseAddrPort("192.0.2.1:5269"))
	tr := newTransport(ours)
	if err := tr.Header(stanza.Header{ID: "1", Namespace: stanza.NSServer}, stanza.Batch{}); err != nil {
		r.t.Fatal(err)
	}
	o := r.set.outbox("here.test")
	in := &outIncoming{xmppstream.NewOutbox(o, nil), &outPeer{Client: listentest.NewClient(r.t, theirs), r: r, raw: theirs}}
	if err := in.out.Attach(tr, o, ""); err != nil {
		r.t.Fatal(err)
	}
	return in
}

// TestOutgoingAdopt checks that stanzas go by a stream that the other server has
// opened.
func TestOutgoingAdopt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := outStart(t)
		in := r.outIncoming()
		release, ok := r.srv.out.adopt(outPair, in.out)
		if !ok {
			t.Fatal("was not adopted")
		}
		if _, ok := r.srv.out.adopt(outPair, in.out); ok {
			t.Error("was adopted twice")
		}
		r.send("1")
		in.peer.messages(1)
		r.noPeer()
		in.out.Drain(nil)
		r.send("2") // waits for release
		r.noPeer()
		in.peer.Close()
		_ = in.out.Close(nil)
		release()
		release()
		p := r.peer().open(outDialback).dialback()
		if got := p.messages(1); got[0] != "2" {
			t.Errorf("got %q, want 2", got)
		}
		if _, ok := r.srv.out.adopt(outPair, r.outIncoming().out); ok {
			t.Error("was adopted beside a stream of our own")
		}
		p.close()
		r.returned("", "")
	})
}

func TestOutgoingAdoptWhileOpening(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := outStart(t)
		r.send("1")
		r.send("2")
		p := r.peer()
		in := r.outIncoming()
		release, ok := r.srv.out.adopt(outPair, in.out)
		if !ok {
			t.Fatal("was not adopted")
		}
		r.send("3")
		if got := in.peer.messages(3); !slices.Equal(got, []string{"1", "2", "3"}) {
			t.Errorf("got %q, want 1, 2 and 3", got)
		}
		p.open(outDialback)
		if got := p.ExpectEOF(); got != "</stream:stream>" {
			t.Errorf("our own stream: got %q, want its end", got)
		}
		in.peer.Close()
		_ = in.out.Close(nil)
		release()
		r.noPeer()
	})
}

func TestOutgoingAdoptInBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := outStart(t)
		r.refuse["192.0.2.7"] = errOutRefused
		r.send("1")
		r.returned(stanza.RemoteServerTimeout, "connecting", "1")
		in := r.outIncoming()
		release, ok := r.srv.out.adopt(outPair, in.out)
		if !ok {
			t.Fatal("was not adopted")
		}
		r.send("2")
		in.peer.messages(1)
		big := strings.Repeat("y", 2*listentest.BufferSize)
		r.put("<message from='a@here.test' to='x@there.test' id='3'><body>" + big + "</body></message>")
		synctest.Wait()
		r.send("4")
		in.peer.Close()
		synctest.Wait()
		_ = in.out.Close(nil)
		release()
		synctest.Wait()
		var got []string
		for _, st := range r.routed() {
			got = append(got, st.ID)
		}
		if strings.Join(got, " ") != "3 4" {
			t.Errorf("got back %q, want 3, which was lost, and 4, which cannot be sent", got)
		}
	})
}

func TestOutgoingAdoptManyPairs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := outStart(t)
		in := r.outIncoming()
		pairs := []pair{outPair, {"also.test", "there.test"}}
		var releases []func()
		for _, pr := range pairs {
			release, ok := r.srv.out.adopt(pr, in.out)
			if !ok {
				t.Fatalf("%v was not adopted", pr)
			}
			releases = append(releases, release)
		}
		var a outArrivals
		in.out.Evict(nil)
		r.put("<message from='a@also.test' to='x@there.test' id='2'/>")
		a.send(r, "1")
		_ = in.out.Close(nil)
		in.peer.Close()
		for _, release := range releases {
			release()
			synctest.Wait()
		}
		for range pairs {
			p := r.peer()
			p.ExpectMatch("from='(here|also).test' [^>]*>")
			p.Send(p.header(" version='1.0'") + "<stream:features/>")
			key := p.ExpectMatch("<db:result from='([a-z.]*)'.*</db:result>")
			p.Send("<db:result from='there.test' to='" + key[1] + "' type='valid'/>")
			p.messages(1)
			p.close()
		}
		a.want(t, "1")
		r.returned("", "")
		if n := len(r.srv.out.adopted.uses); n != 0 {
			t.Errorf("%d outboxes are still in use, want none", n)
		}
	})
}

func TestOutgoingAdoptAfterShutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := outStart(t)
		in := r.outIncoming()
		release, ok := r.srv.out.adopt(outPair, in.out)
		if !ok {
			t.Fatal("was not adopted")
		}
		big := strings.Repeat("y", 2*listentest.BufferSize)
		r.put("<message from='a@here.test' to='x@there.test' id='1'><body>" + big + "</body></message>")
		synctest.Wait()
		r.send("2")
		if err := r.srv.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		in.peer.Close()
		_ = in.out.Close(nil)
		release()
		r.returned(stanza.RemoteServerTimeout, "", "1", "2")
		if _, ok := r.srv.out.adopt(outPair, in.out); ok {
			t.Error("was adopted after shutdown")
		}
	})
}
