package bosh_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidewaiter/tidewaiter/httpd/bosh"
)

// Answers that were lost are sent again, as many as a client may have under way, and what
// it sent is not read twice. See XEP-0124, section 14.3.
func TestReplay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, bosh.Defaults())
		defer r.end()
		c, s := r.open("")
		var requests, answers []string
		for _, id := range []string{"1", "2", "3"} {
			requests = append(requests, c.next("", "<message id='"+id+"'/>"))
			p := r.start(requests[len(requests)-1])
			synctest.Wait()
			if err := s.Write(batch("<a>" + id + "</a>")); err != nil {
				t.Error(err)
			}
			answers = append(answers, p.wait().text)
		}
		for _, i := range []int{1, 2, 2, 1} {
			r.post(requests[i]).is(t, answers[i])
		}
		for _, want := range []string{"1", "2", "3"} {
			if in, err := s.Read(); err != nil || in.Stanza.ID != want {
				t.Errorf("got %+v, %v, want %s", in, err, want)
			}
		}
		p := c.send("", "<message id='4'/>")
		if in, err := s.Read(); err != nil || in.Stanza.ID != "4" {
			t.Errorf("got %+v, %v, want 4: the session goes on", in, err)
		}
		r.post(requests[0]).ends(t, "item-not-found")
		p.wait().ends(t, "other-request")
		_ = s.end()
	})
}

// A request that comes again while it is held takes the place of the first one. See
// XEP-0124, section 14.3.
func TestSameRequestHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, bosh.Defaults())
		defer r.end()
		c, s := r.open("")
		request := c.next("", message)
		first := r.start(request)
		synctest.Wait()
		second := r.start(request)
		first.wait().is(t, "<body xmlns='http://jabber.org/protocol/httpbind' type='error'/>")
		if err := s.Write(batch("<a/>")); err != nil {
			t.Error(err)
		}
		second.wait().is(t, withBody("<a/>"))
		if _, err := s.Read(); err != nil {
			t.Error(err)
		}
		p := c.send("", "<message id='2'/>")
		if in, err := s.Read(); err != nil || in.Stanza.ID != "2" {
			t.Errorf("got %+v, %v, want what came after it", in, err)
		}
		_ = s.end()
		p.wait()
	})
}

// The same while the request before it is missing.
func TestSameRequestEarly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, bosh.Defaults())
		defer r.end()
		c, s := r.open("")
		missing, early := c.next("", "<message id='1'/>"), c.next("", "<message id='2'/>")
		first := r.start(early)
		synctest.Wait()
		second := r.start(early)
		first.wait().is(t, "<body xmlns='http://jabber.org/protocol/httpbind' type='error'/>")
		third := r.start(missing)
		for _, want := range []string{"1", "2"} {
			if in, err := s.Read(); err != nil || in.Stanza.ID != want {
				t.Errorf("got %+v, %v, want %s", in, err, want)
			}
		}
		third.wait().is(t, empty)
		_ = s.end()
		second.wait()
	})
}

// An early request keeps nobody's session alive without those before it.
func TestGap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, bosh.Defaults())
		defer r.end()
		c, s := r.open("")
		c.rid++
		p := c.send("", message)
		began := time.Now()
		p.wait().ends(t, "item-not-found")
		if took := time.Since(began); took != 30*time.Second {
			t.Errorf("it took %v, want 30 s", took)
		}
		_ = s.end()
	})
}

// A client that hangs up gets what was meant for it when it asks again.
func TestHungUpAndBack(t *testing.T) {
	for _, c := range []struct {
		name string
		same bool // it asks for the same again, not for the next
	}{{"same request", true}, {"next request", false}} {
		bubble(t, c.name, func(t *testing.T) {
			r := newRig(t, bosh.Defaults())
			defer r.end()
			x, s := r.open("")
			request := x.next("", "")
			p := r.start(request)
			synctest.Wait()
			p.hangUp()
			synctest.Wait()
			written := make(chan error, 1)
			go func() { written <- s.Write(batch(message)) }()
			synctest.Wait()
			if len(written) > 0 {
				t.Error("Write has returned although nobody is there")
			}
			if c.same {
				r.post(request).is(t, withBody(message))
			} else {
				x.ask("", "").is(t, withBody(message)) // at once, as a page that is loaded again
				r.post(request).is(t, empty)
			}
			if err := <-written; err != nil {
				t.Errorf("Write: got %v", err)
			}
			_ = s.end()
		})
	}
}

// broken is an answer that cannot be written.
type broken struct{ *httptest.ResponseRecorder }

func (broken) Write([]byte) (int, error) { return 0, errTest }

// An answer that was not taken is not one for Write: it is when the client has got it
// after all.
func TestAnswerIsLost(t *testing.T) {
	for _, c := range []struct {
		name string
		then func(x *client, request string) // what the client does
		err  error
	}{
		{"asks again", func(x *client, request string) { x.post(request).is(x.t, withBody(message)) }, nil},
		{"goes on", func(x *client, _ string) {
			first := x.send("", message)
			synctest.Wait()
			if !first.waits() {
				x.t.Error("the next request was answered")
			}
			x.start(x.next("", message))
			first.wait().is(x.t, empty)
		}, nil},
		{"acknowledges", func(x *client, _ string) { x.send("ack='1001'", message) }, nil},
		{"stays away", func(*client, string) {}, errGone},
	} {
		bubble(t, c.name, func(t *testing.T) {
			r := newRig(t, bosh.Defaults())
			defer r.end()
			acks := ""
			if c.name == "acknowledges" {
				acks = "ack='1'"
			}
			x, s := r.open(acks)
			request := x.next("", "")
			go r.handler.ServeHTTP(broken{httptest.NewRecorder()}, httptest.NewRequest(http.MethodPost, "/bosh", strings.NewReader(request)))
			synctest.Wait()
			written := make(chan error, 1)
			go func() { written <- s.Write(batch(message)) }()
			synctest.Wait()
			if len(written) > 0 {
				t.Error("Write has returned although the answer was lost")
			}
			c.then(x, request)
			if err := <-written; (c.err == nil) != (err == nil) {
				t.Errorf("Write: got %v, want %v", err, c.err)
			}
			_ = s.end()
		})
	}
}

var errGone = errors.New("the client has gone")

// The same request cannot be made for ever. See XEP-0124, section 14.3.
func TestRepeats(t *testing.T) {
	for _, held := range []bool{false, true} {
		name := map[bool]string{false: "answered", true: "held"}[held]
		bubble(t, name, func(t *testing.T) {
			r := newRig(t, bosh.Defaults())
			defer r.end()
			c, s := r.open("")
			request := c.next("", "")
			if !held {
				go func() { _ = s.Write(batch(message)) }()
				synctest.Wait()
			}
			var last *pending
			for range 17 {
				last = r.start(request)
				synctest.Wait()
			}
			if last.waits() != held {
				t.Errorf("answered: got %t, want %t", !last.waits(), !held)
			}
			r.post(request).ends(t, "policy-violation")
			last.wait()
			_ = s.end()
		})
	}
}

// TestCacheIsBounded asks for answers again of which only the last fits.
func TestCacheIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, bosh.Defaults())
		defer r.end()
		c, s := r.open("")
		large := "<a>" + strings.Repeat("x", 300_000) + "</a>"
		var requests []string
		for range 2 {
			requests = append(requests, c.next("", message))
			p := r.start(requests[len(requests)-1])
			synctest.Wait()
			if err := s.Write(batch(large)); err != nil {
				t.Error(err)
			}
			p.wait()
		}
		r.post(requests[1]).is(t, withBody(large))
		r.post(requests[0]).ends(t, "item-not-found")
		_ = s.end()
	})
}

// A client may have a pause under way besides the requests that it is allowed: of none of
// the answers is it known that it came.
func TestAnswerIsLostBeforePause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, bosh.Defaults())
		defer r.end()
		x, s := r.open("")
		request := x.next("", "")
		go r.handler.ServeHTTP(broken{httptest.NewRecorder()}, httptest.NewRequest(http.MethodPost, "/bosh", strings.NewReader(request)))
		synctest.Wait()
		written := make(chan error, 1)
		go func() { written <- s.Write(batch(message)) }()
		synctest.Wait()
		held := x.send("", message)
		synctest.Wait()
		x.ask("pause='60'", "").is(t, empty)
		held.wait().is(t, empty)
		synctest.Wait()
		if len(written) > 0 {
			t.Error("Write has returned although the answer was lost")
		}
		x.post(request).is(t, withBody(message))
		if err := <-written; err != nil {
			t.Errorf("Write: got %v", err)
		}
		_ = s.end()
	})
}
