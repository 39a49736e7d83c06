package bosh_test

import (
	"errors"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidewaiter/tidewaiter/httpd/bosh"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// Request ids that are none of the next ones. What a legacy client gets is a status of
// HTTP. See XEP-0124, sections 14 and 17.
func TestRIDs(t *testing.T) {
	for _, c := range []struct {
		name      string
		rid       string
		condition string
		status    int // for a legacy client
	}{
		{"beyond the window", "1004", "item-not-found", 404},
		{"far beyond", "9007199254740991", "item-not-found", 404},
		{"higher than any", "9007199254740992", "item-not-found", 404},
		{"overflow", "18446744073709551617", "item-not-found", 404},
		{"before the session", "999", "item-not-found", 404},
		{"zero", "0", "item-not-found", 404},
		{"missing", "none", "bad-request", 400},
		{"empty", "", "bad-request", 400},
		{"negative", "-1", "bad-request", 400},
		{"with a sign", "+1001", "bad-request", 400},
		{"with a space", " 1001", "bad-request", 400},
		{"with an exponent", "1e3", "bad-request", 400},
		{"hexadecimal", "0x3e9", "bad-request", 400},
	} {
		for _, legacy := range []bool{false, true} {
			bubble(t, c.name+", legacy "+strconv.FormatBool(legacy), func(t *testing.T) {
				r := newRig(t, bosh.Defaults())
				defer r.end()
				x, s := r.open("")
				if legacy {
					x, s = legacyClient(r, x, s)
				}
				held := x.send("", "")
				synctest.Wait()
				rid := "rid='" + c.rid + "'"
				if c.rid == "none" {
					rid = ""
				}
				a := r.post("<body xmlns='http://jabber.org/protocol/httpbind' sid='" + x.sid + "' " + rid + "/>")
				a.ends(t, c.condition)
				if want := map[bool]int{false: 200, true: c.status}[legacy]; a.status != want {
					t.Errorf("got %d, want %d", a.status, want)
				}
				held.wait().ends(t, "other-request")
				if _, err := s.Read(); err == nil {
					t.Error("the session goes on")
				}
				_ = s.end()
			})
		}
	}
}

// legacyClient makes a session of a client without ver instead of another one.
func legacyClient(r *rig, x *client, s *stream) (*client, *stream) {
	held := x.send("", "")
	synctest.Wait()
	_ = s.end()
	held.wait()
	p := r.start(creation(""))
	s = <-r.streams
	_, _ = s.Open()
	_ = s.Header(stanza.Header{}, batch("<f/>"))
	return &client{r, p.wait().attributes()["sid"], ridBefore}, s
}

// A session that has used the highest number can only end.
func TestLastRID(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, bosh.Defaults())
		defer r.end()
		p := r.start(strings.Replace(creation("ver='1.6'"), "1000", "9007199254740991", 1))
		s := <-r.streams
		_, _ = s.Open()
		_ = s.Header(stanza.Header{}, batch("<f/>"))
		c := &client{r, p.wait().attributes()["sid"], 9007199254740991}
		c.ask("", "").ends(t, "item-not-found")
		_ = s.end()
	})
}

// A client may have so many requests under way, and one more to pause or to end the
// session. See XEP-0124, section 11.
func TestOveractivity(t *testing.T) {
	for _, c := range []struct {
		name, attrs string
		ends        bool
	}{
		{"a third one", "", true},
		{"to pause", "pause='10'", false},
		{"to terminate", "type='terminate'", false},
	} {
		bubble(t, c.name, func(t *testing.T) {
			r := newRig(t, bosh.Defaults())
			defer r.end()
			x, s := r.open("wait='60'")
			// What nobody reads holds up the requests behind it.
			large := "<message id='1'><body>" + strings.Repeat("x", 60_000) + "</body></message>"
			first := x.send("", large)
			synctest.Wait()
			second := x.send("", large)
			synctest.Wait()
			third := x.send(c.attrs, message)
			synctest.Wait()
			if c.ends {
				third.wait().ends(t, "policy-violation")
				first.wait().ends(t, "other-request")
				second.wait().ends(t, "other-request")
				for range 2 { // one was taken
					_, err := s.Read()
					if e := (*stanza.StreamError)(nil); errors.As(err, &e) && e.Condition == stanza.StreamPolicyViolation {
						break
					}
				}
				_ = s.end()
				return
			}
			for range 3 {
				if in, err := s.Read(); err != nil || in.Stanza == nil {
					t.Errorf("got %+v, %v, want a message", in, err)
				}
			}
			synctest.Wait()
			_ = s.end()
			first.wait()
			second.wait()
			third.wait()
		})
	}
}

// Requests that say nothing must not come too fast. See XEP-0124, sections 11 and 12.
func TestTooFast(t *testing.T) {
	const usual, polls = "hold='1' wait='60'", "hold='0' wait='0'"
	for _, c := range []struct {
		name, session string
		first, then   string // payloads
		attrs         string // of the second
		after         time.Duration
		paid          bool // the answer to the first has something
		ends          bool
	}{
		{"held, nothing", usual, "", "", "", 0, false, true},
		{"held, nothing, just too soon", usual, "", "", "", 1999 * time.Millisecond, false, true},
		{"held, nothing, later", usual, "", "", "", 2 * time.Second, false, false},
		{"held, something", usual, "", message, "", 0, false, false},
		{"held, a pause", usual, "", "", "pause='10'", 0, false, false},
		{"held, the end", usual, "", "", "type='terminate'", 0, false, false},
		{"held, a restart", usual, "", "", "xmlns:xmpp='urn:xmpp:xbosh' xmpp:restart='true'", 0, false, false},
		{"answered", usual, "", "", "", 0, true, false},
		{"polls twice", polls, "", "", "", 0, false, true},
		{"polls twice, just too soon", polls, "", "", "", 1999 * time.Millisecond, false, true},
		{"polls later", polls, "", "", "", 2 * time.Second, false, false},
		{"polls after an answer with something", polls, "", "", "", 0, true, false},
		{"polls, then sends", polls, "", message, "", 0, false, false},
		{"sends, then polls", polls, message, "", "", 0, false, false},
	} {
		bubble(t, c.name, func(t *testing.T) {
			r := newRig(t, bosh.Defaults())
			defer r.end()
			x, s := r.open(c.session)
			if c.session == polls && c.paid {
				go func() { _ = s.Write(batch(message)) }()
				synctest.Wait()
			}
			first := x.send("", c.first)
			synctest.Wait()
			if c.paid && c.session == usual {
				if err := s.Write(batch(message)); err != nil {
					t.Error(err)
				}
			}
			time.Sleep(c.after)
			second := x.send(c.attrs, c.then)
			synctest.Wait()
			if !c.ends {
				_ = s.end()
				if a := second.wait(); strings.Contains(a.text, "policy-violation") {
					t.Errorf("got %q, want none of that", a.text)
				}
				first.wait()
				return
			}
			second.wait().ends(t, "policy-violation")
			if a := first.wait(); c.session == usual {
				a.ends(t, "other-request")
			}
			_ = s.end()
		})
	}
}
