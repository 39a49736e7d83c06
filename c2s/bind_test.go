package c2s

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidewaiter/tidewaiter/acl"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
	"github.com/tidewaiter/tidewaiter/shaper"
)

const nsStanzas = "urn:ietf:params:xml:ns:xmpp-stanzas"

// authenticated dials and logs in, but does not bind.
func (r *rig) authenticated(user string) *client {
	r.t.Helper()
	c := r.open()
	c.plain(user)
	return c
}

func TestBind(t *testing.T) {
	full := func(j string) string {
		return "<iq type='result' id='b'><bind xmlns='" + nsBind + "'><jid>ana@one.test/" + j + "</jid></bind></iq>"
	}
	refused := func(condition string) string { return "<" + condition + " xmlns='" + nsStanzas + "'/>" }
	bare := "<bind xmlns='" + nsBind + "'/>"
	tests := []struct {
		name    string
		prepare func(r *rig)
		send    string
		want    string
	}{
		{"resource of the client", nil, bindRequest("boat"), full("boat")},
		{"resource that must be escaped", nil, bindRequest("it's a &lt;boat&gt;"), full("it&apos;s a &lt;boat&gt;")},
		{"resource of the server", nil, "<iq id='b' type='set'>" + bare + "</iq>", full("made-up")},
		{"empty resource", nil, bindRequest(""), full("made-up")},
		{"addressed to the host", nil, "<iq id='b' type='set' to='one.test'>" + bare + "</iq>", "<jid>ana@one.test/made-up</jid>"},
		{"addressed to the account", nil, "<iq id='b' type='set' to='ana@one.test'>" + bare + "</iq>", "<jid>ana@one.test/made-up</jid>"},
		{"resource too long", nil, bindRequest(strings.Repeat("x", 1024)), refused("bad-request")},
		{"resource with a control character", nil, bindRequest("a&#x9;b"), refused("bad-request")},
		{"get", nil, "<iq id='b' type='get'>" + bare + "</iq>", refused("bad-request")},
		{"no id", nil, "<iq type='set'>" + bare + "</iq>", refused("bad-request")},
		{"no type", nil, "<iq id='b'>" + bare + "</iq>", refused("bad-request")},
		{"two children", nil, "<iq id='b' type='set'>" + bare + bare + "</iq>", refused("bad-request")},
		{"nobody has access", func(r *rig) { r.o.Access = acl.None }, bindRequest("boat"), refused("not-allowed")},
		{"no access rule", func(r *rig) { r.o.Access = nil }, bindRequest("boat"), refused("not-allowed")},
		{"refused by the router", func(r *rig) {
			r.fake.onBind = func(stanza.Binding) (stanza.JID, error) {
				return stanza.JID{}, &stanza.Error{Condition: stanza.Conflict}
			}
		}, bindRequest("boat"), refused("conflict")},
		{"router is broken", func(r *rig) {
			r.fake.onBind = func(stanza.Binding) (stanza.JID, error) { return stanza.JID{}, errors.New("store is down") }
		}, bindRequest("boat"), refused("internal-server-error")},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := start(t, func(r *rig) {
				if tt.prepare != nil {
					tt.prepare(r)
				}
			})
			c := r.authenticated("ana")
			c.Send(tt.send)
			c.Expect(tt.want)
			if tt.prepare == nil && strings.Contains(tt.want, nsStanzas) {
				c.bind("ana", "boat") // it may try again
			}
		})
	}
}

// TestBeforeBind checks that nothing but the binding is allowed before it.
// See RFC 6120, section 7.1.
func TestBeforeBind(t *testing.T) {
	for _, tt := range []struct{ name, send, want string }{
		{"message", message("bo@one.test", "x"), "not-authorized"},
		{"presence", "<presence/>", "not-authorized"},
		{"other request", "<iq id='1' type='get'><query xmlns='jabber:iq:roster'/></iq>", "not-authorized"},
		{"binding of somebody else", strings.Replace(bindRequest("x"), "<iq", "<iq to='bo@one.test'", 1), "not-authorized"},
		{"malformed stanza", "<message to='@'/>", "not-authorized"},
		{"unknown element", "<r xmlns='urn:xmpp:sm:3'/>", "unsupported-stanza-type"},
		{"second login", auth("PLAIN", "\x00bo\x00anchor"), "unsupported-stanza-type"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := start(t).authenticated("ana")
			c.Send(tt.send)
			c.expectError(tt.want)
		})
	}
	t.Run("end of the stream", func(t *testing.T) {
		c := start(t).authenticated("ana")
		c.Send("</stream:stream>")
		if got := c.ExpectEOF(); got != "</stream:stream>" {
			t.Errorf("got %q, want the end of the stream", got)
		}
	})
}

func TestBindRetries(t *testing.T) {
	r := start(t, func(r *rig) { r.o.Access = acl.None })
	c := r.authenticated("ana")
	for range maxRefusals {
		c.Send(bindRequest("boat"))
		c.Expect("</iq>")
	}
	c.expectError("policy-violation")
	r.drain()
	if len(r.fake.bound)+len(r.fake.ended)+len(r.fake.released) > 0 {
		t.Error("a session began, want none")
	}
}

// asked records what a rule is asked.
type asked struct {
	mu   sync.Mutex
	list []acl.Subject
}

func (a *asked) add(s acl.Subject) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.list = append(a.list, s)
}

func (a *asked) Allow(s acl.Subject) bool                { a.add(s); return true }
func (a *asked) Rate(s acl.Subject) shaper.Rate          { a.add(s); return shaper.Rate{} }
func (a *asked) Limit(acl.Subject) (n int, limited bool) { return 0, false }

// TestSubjects checks what rules are asked about a client: its address before
// the login, its JID after.
func TestSubjects(t *testing.T) {
	access, rate := new(asked), new(asked)
	r := start(t, func(r *rig) {
		r.o.Access, r.o.Shaper = access, rate
		r.o.ResourceConflict = stanza.PerHost[stanza.ConflictPolicy]{
			Value: stanza.CloseNew, Hosts: map[string]stanza.ConflictPolicy{"one.test": stanza.SetResource},
		}
	})
	r.login("ana", "boat")
	ip := netip.MustParseAddr("198.51.100.1")
	full := acl.Subject{User: "ana", Server: "one.test", Resource: "boat", Host: "one.test", IP: ip}
	if want := []acl.Subject{full}; !slices.Equal(access.list, want) {
		t.Errorf("access rule was asked about %+v, want %+v", access.list, want)
	}
	bare := full
	bare.Resource = ""
	if want := []acl.Subject{{IP: ip}, {Host: "one.test", IP: ip}, bare, full}; !slices.Equal(rate.list, want) {
		t.Errorf("shaper rule was asked about %+v, want %+v", rate.list, want)
	}
	b := r.fake.binding
	if b.Conflict != stanza.SetResource || b.Since.IsZero() || b.Peer.Addr.Addr() != ip || b.JID.String() != "ana@one.test/boat" {
		t.Errorf("got binding %+v, want ana@one.test/boat from %v with setresource", b, ip)
	}
}

// TestBindTellsWhenLoginBegan: not when it succeeded, because what was checked
// on the way, such as keys for SCRAM, may be as old as its begin.
func TestBindTellsWhenLoginBegan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t)
		c := r.open()
		c.Send("<auth xmlns='" + nsSASL + "' mechanism='PLAIN'/>")
		c.Expect("<challenge")
		c.Expect("/>")
		began := time.Now()
		time.Sleep(10 * time.Second)
		c.Send("<response xmlns='" + nsSASL + "'>" + base64.StdEncoding.EncodeToString([]byte("\x00ana\x00anchor")) + "</response>")
		c.Expect("<success")
		c.open("one.test")
		c.bind("ana", "boat")
		if got := r.fake.binding.Since; !got.Equal(began) {
			t.Errorf("got a login since %v, want since %v", got, began)
		}
	})
}

// deliverEarly gives n messages to a session that is about to begin.
func deliverEarly(b stanza.Binding, n int) (errs []error) {
	for i := range n {
		errs = append(errs, b.Sink.Deliver(&stanza.Stanza{Kind: stanza.Message, ID: fmt.Sprint(i)}))
	}
	return errs
}

// TestEarlyDelivery checks that what others send to a session that is about to
// begin comes after the client has been told its address.
func TestEarlyDelivery(t *testing.T) {
	t.Run("order", func(t *testing.T) {
		r := start(t, func(r *rig) {
			r.fake.onBind = func(b stanza.Binding) (stanza.JID, error) {
				deliverEarly(b, 3)
				return b.JID, nil
			}
		})
		c := r.authenticated("ana")
		c.Send(bindRequest("boat"))
		c.Expect("<iq type='result' id='b'>")
		got := c.Expect("<message id='2'/>")
		if !strings.HasSuffix(got, "</iq><message id='0'/><message id='1'/><message id='2'/>") {
			t.Errorf("got %s, want the messages in order after the answer", got)
		}
	})
	t.Run("session that never began", func(t *testing.T) {
		r := start(t, func(r *rig) {
			r.fake.onBind = func(b stanza.Binding) (stanza.JID, error) {
				deliverEarly(b, 3)
				b.Sink.Kick(&stanza.StreamError{Condition: stanza.StreamConflict})
				return b.JID, nil
			}
		})
		c := r.authenticated("ana")
		c.Send(bindRequest("boat"))
		c.expectError("conflict")
		end := receive(t, "end", r.fake.ended)
		if len(end.undelivered) != 3 || end.undelivered[0].Stanza.ID != "0" {
			t.Errorf("got %v undelivered, want the three messages", end.undelivered)
		}
		if err := r.fake.binding.Sink.Deliver(&stanza.Stanza{Kind: stanza.Message}); !errors.Is(err, stanza.ErrClosed) {
			t.Errorf("got %v from Deliver after the end, want %v", err, stanza.ErrClosed)
		}
	})
}

// TestEarlyBound checks that what waits for the beginning has a bound: over it
// the session ends before it has begun.
func TestEarlyBound(t *testing.T) {
	tests := []struct {
		name  string
		limit func(o *Options)
		n     int // stanzas offered
		least int // of them taken
	}{
		{"in stanzas", func(o *Options) { o.MaxFSMQueue = 3 }, 4, 2},
		{"in bytes", func(o *Options) { o.MaxQueueBytes = 4096 }, 1000, 10},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var errs []error
			r := start(t, func(r *rig) {
				tt.limit(&r.o)
				r.fake.onBind = func(b stanza.Binding) (stanza.JID, error) {
					errs = deliverEarly(b, tt.n)
					return b.JID, nil
				}
			})
			c := r.authenticated("ana")
			c.Send(bindRequest("boat"))
			c.expectError("resource-constraint")
			taken := 0
			for taken < len(errs) && errs[taken] == nil {
				taken++
			}
			for i, err := range errs[taken:] {
				want := stanza.ErrClosed
				if i == 0 {
					want = stanza.ErrQueueFull
				}
				if !errors.Is(err, want) {
					t.Errorf("got %v, want %v", err, want)
				}
			}
			if end := receive(t, "end", r.fake.ended); len(end.undelivered) != taken {
				t.Errorf("got %d undelivered, want %d", len(end.undelivered), taken)
			}
			if taken < tt.least || taken == tt.n {
				t.Errorf("got %d of %d taken, want at least %d and not all", taken, tt.n, tt.least)
			}
		})
	}
}
