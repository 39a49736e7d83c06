package offline

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// XEP-0160, section 2, and XEP-0203: what is kept says since when, once.
func TestDelay(t *testing.T) {
	const now = "<delay xmlns='urn:xmpp:delay' from='a.test' stamp='2000-01-01T00:00:00.000Z'/>"
	const then = "<delay xmlns='urn:xmpp:delay' from='a.test' stamp='1999-12-31T23:00:00.000Z'/>"
	tests := []struct {
		name, inner string
		handed      bool // somebody else has had it, for an hour
		want, child string
	}{
		{"plain", body, false, body + now, "body"},
		{"empty", "", false, now, "delay"},
		{"with a forged delay", then + body, false, body + now, "body"},
		{"handed over", body, true, body + then, "body"},
		{"handed over with a forged delay", body + now, true, body + then, "body"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				memory := new(Memory)
				s := newService(memory, Options{StoreEmptyBody: "true"})
				m := parse(t, "<message from='romeo@b.test/o' to='juliet@a.test/r' id='&lt;1>' xml:lang='en' xmlns:e='urn:e' e:x='1'>"+tt.inner+"</message>")
				if tt.handed {
					var err error
					if m, err = m.WithDelay(time.Now().Add(-time.Hour)); err != nil {
						t.Fatal(err)
					}
				}
				before := *m
				r := keepIt(t, s, m)
				if r.kept == nil {
					t.Fatal(r)
				}
				if r.kept.Inner != tt.want || r.kept.Child.Local != tt.child {
					t.Errorf("got %s with the child %s, want %s with %s", r.kept.Inner, r.kept.Child.Local, tt.want, tt.child)
				}
				if *m != before {
					t.Errorf("the message has become %s", m)
				}
				time.Sleep(time.Hour)
				// What another session gets is the same, to the same address.
				got := comes(t, s, juliet).got
				if len(got) != 1 || *got[0] != *r.kept || got[0].Kept == 0 {
					t.Errorf("delivered %v, want %v", got, r.kept)
				}
				want := *m
				want.Inner, want.Child, want.Kept, want.Delayed = got[0].Inner, got[0].Child, got[0].Kept, true
				if *got[0] != want {
					t.Errorf("got %+v, want %+v", *got[0], want)
				}
				list, _, err := memory.List(t.Context(), m.To.Bare(), 0, Limits{})
				if err != nil || len(list) != 1 || !strings.HasPrefix(list[0].XML, "<message xmlns='jabber:client' ") {
					t.Errorf("stored %v, %v, want a stanza in jabber:client", list, err)
				}
			})
		})
	}
}

var _ stanza.Sink = (*session)(nil)
