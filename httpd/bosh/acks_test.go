package bosh_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidewaiter/tidewaiter/httpd/bosh"
)

// Answers say which requests have come (XEP-0124, section 9.1).
func TestRequestsAreAcknowledged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, bosh.Defaults())
		defer r.end()
		c, s := r.open("ack='1'")
		first := c.send("", "")
		time.Sleep(2 * time.Second)
		second := c.send("ack='1000'", message)
		first.wait().is(t, "<body xmlns='http://jabber.org/protocol/httpbind' ack='1002'/>")
		if err := s.Write(batch("<a/>")); err != nil {
			t.Error(err)
		}
		second.wait().is(t, withBody("<a/>")) // the last request acknowledges itself
		_ = s.end()
	})
}

// Who does not ask for acknowledgements gets none.
func TestNoAcknowledgements(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, bosh.Defaults())
		defer r.end()
		c, s := r.open("")
		first := c.send("", "")
		time.Sleep(2 * time.Second)
		second := c.send("ack='1000'", message)
		first.wait().is(t, empty)
		_ = s.end()
		second.wait()
	})
}

// A client that seems not to have an answer hears of it at once (XEP-0124, section 9.2).
func TestReport(t *testing.T) {
	for _, c := range []struct {
		name, ack string
		want      string
	}{
		{"lacks one", "ack='1000'", "<body xmlns='http://jabber.org/protocol/httpbind' report='1001' time='852'/>"},
		{"has all", "ack='1001'", ""},
		{"says nothing", "", ""},
		{"has more than there are", "ack='9007199254740992'", ""},
	} {
		bubble(t, c.name, func(t *testing.T) {
			r := newRig(t, bosh.Defaults())
			defer r.end()
			x, s := r.open("ack='1' wait='60'")
			first := x.send("", message)
			synctest.Wait()
			if err := s.Write(batch("<a/>")); err != nil {
				t.Error(err)
			}
			first.wait().is(t, withBody("<a/>"))
			time.Sleep(852 * time.Millisecond)
			second := x.send(c.ack, message)
			synctest.Wait()
			if c.want != "" {
				second.wait().is(t, c.want)
			} else if !second.waits() {
				t.Error("answered although nothing is missing")
			}
			_ = s.end()
			if c.want == "" {
				second.wait()
			}
		})
	}
}

// What is not acknowledged is kept for longer, up to a bound.
func TestUnacknowledged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, bosh.Defaults())
		defer r.end()
		c, s := r.open("ack='1' wait='0'")
		var requests, answers []string
		for range 20 {
			requests = append(requests, c.next("ack='1000'", message))
			answers = append(answers, r.post(requests[len(requests)-1]).text)
			if _, err := s.Read(); err != nil {
				t.Error(err)
			}
		}
		r.post(requests[4]).is(t, answers[4])
		r.post(c.next("ack='1010'", message))
		r.post(requests[10]).is(t, answers[10])
		r.post(requests[9]).ends(t, "item-not-found")
		_ = s.end()
	})
}
