package bosh_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidewaiter/tidewaiter/httpd/bosh"
)

// What the standard leaves to options, and how a server ends.

// xepTry tries something with options in memory.
func xepTry(t *testing.T, name string, change func(*bosh.Options), try func(*xepRig)) {
	t.Run(name, func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			o := bosh.Defaults()
			change(&o)
			r, end := xepInMemory(t, o)
			defer end()
			try(r)
		})
	})
}

func TestXEP0124Options(t *testing.T) {
	xepTry(t, "7.2 inactivity and maxpause are those of the options", func(o *bosh.Options) {
		o.MaxInactivity, o.MaxPause = 7*time.Second, 11*time.Second
	}, func(r *xepRig) {
		a := r.create(nil).created
		if a.number("inactivity") != 7 || a.number("maxpause") != 11 {
			t.Errorf("got inactivity=%q and maxpause=%q, want 7 and 11", a.attr("inactivity"), a.attr("maxpause"))
		}
	})
	xepTry(t, "10 inactivity of a second", func(o *bosh.Options) { o.MaxInactivity = time.Second }, func(r *xepRig) {
		s := r.login("bo", nil)
		r.sleep(900 * time.Millisecond)
		s.send(nil, xepMessage(s.jid, "1")).wantTexts("1")
		r.sleep(1100 * time.Millisecond)
		s.wantGone()
	})
	for _, most := range []int{1, 2, 3} {
		xepTry(t, fmt.Sprint("8 answers of at most ", most), func(o *bosh.Options) { o.MaxConcat = bosh.Count(most) }, func(r *xepRig) {
			ana, bo := r.login("ana", nil), r.login("bo", nil)
			var all, want string
			for i := range 5 {
				all += xepMessage(bo.jid, fmt.Sprint(i))
				want += fmt.Sprint(i)
			}
			ana.send(nil, all)
			r.settle()
			got := ""
			for len(got) < len(want) {
				texts := bo.send(nil, "").answer().wantOK().texts()
				if len(texts) > most || len(texts) == 0 {
					r.t.Fatalf("got %d messages in one answer, want 1 to %d", len(texts), most)
				}
				for _, text := range texts {
					got += text
				}
			}
			if got != want {
				r.t.Errorf("got %q, want %q", got, want)
			}
		})
	}
	xepTry(t, "17.2 a domain where it is off", func(*bosh.Options) {}, func(r *xepRig) {
		r.initiate(xepAttrs{"to": "off.test"}).wantTerminate("host-unknown")
	})
}

// See XEP-0124, section 17.2.
func TestXEP0124Shutdown(t *testing.T) {
	t.Parallel()
	handler, _ := newXEPHandler(t, bosh.Defaults())
	server := httptest.NewServer(handler)
	defer server.Close()
	r := xepClients(t, server)
	defer r.hangUp()
	s := r.login("bo", nil)
	held := s.send(nil, "")
	next := s.send(nil, xepMessage(s.jid+"x", "1")) // when held is answered, the server has both
	held.answer()
	if err := handler.Shutdown(context.Background()); err != nil {
		t.Errorf("Shutdown: got %v", err)
	}
	if a := next.answer(); !a.isError() {
		a = s.send(nil, "").answer()
		a.wantTerminate("system-shutdown", "remote-stream-error", "item-not-found")
	} else {
		a.wantTerminate("system-shutdown", "remote-stream-error")
	}
	if a := r.initiate(nil); a.attr("condition") != "system-shutdown" && a.status != http.StatusServiceUnavailable {
		t.Errorf("a session after the end: got %v, want system-shutdown or 503", a)
	}
}

// A request that is held when the listener ends learns of it.
// See XEP-0124, section 17.2.
func TestXEP0124ListenerEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, end := xepInMemory(t, bosh.Defaults())
		s := r.login("bo", nil)
		held := s.send(nil, "").wantHeld()
		var ending sync.WaitGroup
		ending.Go(end)
		held.answer().wantTerminate("system-shutdown", "remote-stream-error")
		ending.Wait()
	})
}

// A session that began encrypted goes on so.
// See XEP-0124, section 19.1.
func TestXEP0124SecureSession(t *testing.T) {
	t.Parallel()
	handler, _ := newXEPHandler(t, bosh.Defaults())
	encrypted, plain := httptest.NewTLSServer(handler), httptest.NewServer(handler)
	defer encrypted.Close()
	defer plain.Close()
	secure, open := xepClients(t, encrypted), xepClients(t, plain)
	defer func() {
		if err := handler.Shutdown(context.Background()); err != nil {
			t.Errorf("Shutdown: got %v", err)
		}
		secure.hangUp()
		open.hangUp()
	}()
	s := secure.login("bo", nil)
	stolen := *s
	stolen.r = open
	for _, c := range []struct {
		name    string
		rid     int
		attrs   xepAttrs
		payload string
	}{
		{"the next request", s.rid + 1, nil, xepMessage(s.jid, "stolen")},
		{"an old answer", s.rid, nil, ""},
		{"a rid above the window", s.rid + 50, nil, ""},
		{"a restart", s.rid + 1, xepAttrs{"xmpp:restart": "true"}, ""},
		{"the end", s.rid + 1, xepAttrs{"type": "terminate"}, ""},
	} {
		if a := stolen.sendAt(c.rid, c.attrs, c.payload).answer(); !a.isError() || len(a.texts()) > 0 {
			t.Errorf("%s without TLS: got %v, want an error or the end of the connection", c.name, a)
		}
	}
	s.send(nil, xepMessage(s.jid, "1")).wantTexts("1")
}
