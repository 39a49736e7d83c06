package host

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/tidewaiter/tidewaiter/listen/listentest"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// blockLists gives what read returns.
type blockLists func(user stanza.JID) (func(stanza.JID) bool, error)

func (f blockLists) Blocked(_ context.Context, user stanza.JID) (func(stanza.JID) bool, error) {
	return f(user)
}

// only blocks one address.
func only(j stanza.JID) blocker { return func(peer stanza.JID) bool { return peer == j } }

func comingWorld(t *testing.T) *Local {
	t.Helper()
	o := Defaults()
	o.Hosts = []string{"a.test"}
	l, err := NewLocal(o, nil)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func (l *Local) bindFor(t *testing.T, user stanza.JID) error {
	_, err := l.Bind(t.Context(), stanza.Binding{JID: user, Sink: new(listentest.Sink)})
	return err
}

func mustJID(t *testing.T, s string) stanza.JID {
	t.Helper()
	j, err := stanza.ParseJID(s)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// However often block lists change, a login reads one once, and the last change
// applies.
func TestBindReadsBlocksOnce(t *testing.T) {
	me, other := mustJID(t, "romeo@a.test"), mustJID(t, "juliet@a.test")
	was, is := mustJID(t, "was@b.test"), mustJID(t, "is@b.test")
	for _, tt := range []struct {
		name      string
		meanwhile func(*Local)
		want      stanza.JID // whom the account blocks in the end; zero: nobody
	}{
		{"no change", func(*Local) {}, was},
		{"another account's", func(l *Local) { l.SetBlocked(other, only(is)) }, was},
		{"very many accounts'", func(l *Local) {
			for n := range 1000 {
				l.SetBlocked(mustJID(t, fmt.Sprintf("user%d@a.test", n)), only(is))
			}
		}, was},
		{"the account's", func(l *Local) { l.SetBlocked(me, only(is)) }, is},
		{"the account's, twice", func(l *Local) { l.SetBlocked(me, only(was)); l.SetBlocked(me, only(is)) }, is},
		{"the account blocks nobody any more", func(l *Local) { l.SetBlocked(me, nil) }, stanza.JID{}},
		{"another session comes and goes", func(l *Local) {
			l.Blocking = nil
			sink := new(listentest.Sink)
			full, err := l.Bind(t.Context(), stanza.Binding{JID: me, Sink: sink})
			if err != nil {
				t.Fatal(err)
			}
			l.SetBlocked(me, only(is))
			l.Release(t.Context(), full, sink)
		}, is},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := comingWorld(t)
			reads := 0
			l.Blocking = blockLists(func(stanza.JID) (func(stanza.JID) bool, error) {
				reads++
				tt.meanwhile(l)
				return only(was), nil
			})
			if err := l.bindFor(t, me); err != nil {
				t.Fatal(err)
			}
			if reads != 1 {
				t.Errorf("the list was read %d times, want once", reads)
			}
			for _, peer := range []stanza.JID{was, is} {
				if got := l.blocks(l.sessions.of(me), peer); got != (peer == tt.want) {
					t.Errorf("blocks %s: %t", peer, got)
				}
			}
			wantNobodyComing(t, l)
		})
	}
}

func TestNobodyComesAfterAnError(t *testing.T) {
	l := comingWorld(t)
	broken := errors.New("store is down")
	l.Blocking = blockLists(func(stanza.JID) (func(stanza.JID) bool, error) { return nil, broken })
	if err := l.bindFor(t, mustJID(t, "romeo@a.test")); !errors.Is(err, &stanza.Error{Condition: stanza.InternalServerError}) {
		t.Errorf("got %v, want internal-server-error", err)
	}
	wantNobodyComing(t, l)
}

// Many first sessions of accounts whose lists change all the time.
func TestComingWhileListsChange(t *testing.T) {
	l := comingWorld(t)
	l.Blocking = blockLists(func(stanza.JID) (func(stanza.JID) bool, error) { return nil, nil })
	var users []stanza.JID
	for n := range 4 {
		users = append(users, mustJID(t, fmt.Sprintf("user%d@a.test", n)))
	}
	last := mustJID(t, "last@b.test")
	var wg sync.WaitGroup
	for n := range 4 {
		wg.Go(func() {
			for range 200 {
				if err := l.bindFor(t, users[n]); err != nil {
					t.Error(err)
				}
			}
		})
		wg.Go(func() {
			for i := range 500 {
				l.SetBlocked(users[(n+i)%4], only(last))
			}
		})
	}
	wg.Wait()
	for _, u := range users {
		l.SetBlocked(u, only(last))
		if !l.blocks(l.sessions.of(u), last) {
			t.Errorf("%s does not block", u)
		}
	}
	wantNobodyComing(t, l)
}

func wantNobodyComing(t *testing.T, l *Local) {
	t.Helper()
	for i := range l.sessions.shards {
		if n := len(l.sessions.shards[i].coming); n > 0 {
			t.Errorf("%d accounts are still coming", n)
		}
	}
}
