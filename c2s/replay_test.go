package c2s

import (
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/xmppstream"
)

// messagesTo returns messages with the ids from from to before to.
func messagesTo(jid string, from, to int) string {
	var all strings.Builder
	for i := from; i < to; i++ {
		fmt.Fprintf(&all, "<message id='%d' to='%s'/>", i, jid)
	}
	return all.String()
}

// highestAck returns the highest number that is acknowledged in text.
func highestAck(t *testing.T, text string) int {
	t.Helper()
	highest := -1
	for _, m := range regexp.MustCompile(`<a [^>]*h='([0-9]+)'/>`).FindAllStringSubmatch(text, -1) {
		n, err := strconv.Atoi(m[1])
		if err != nil {
			t.Fatal(err)
		}
		highest = max(highest, n)
	}
	return highest
}

// silent makes a session of a client that reads and says nothing. The test
// acknowledges in its name.
func (r *rig) silent(user, resource string) *xmppstream.Outbox {
	r.t.Helper()
	c, _ := r.managed(user, resource)
	r.feeding.Go(func() { _, _ = io.Copy(io.Discard, c.conn) })
	return r.fake.sink(user + "@one.test/" + resource).(*session).out
}

// TestGap resumes the session of a client that has sent more than is remembered,
// none of which is safe. Whatever it sends again, it hears only of what is safe,
// and in the end of all.
func TestGap(t *testing.T) {
	const n = maxRecent + 76
	const other = "<message id='new' to='dan@one.test/x'/>"
	to := func(i int) string { return messagesTo("ana@one.test/boat", 0, i) }
	tests := []struct {
		name     string
		again    string // what the client sends after the resumption
		all      int    // stanzas
		from, to int    // are safe when the recipient has acknowledged what it got before
	}{
		{"all again", to(n), n, maxRecent / 2, maxRecent},
		{"all again and a new one", to(n) + other, n + 1, maxRecent / 2, maxRecent},
		{"what is remembered and a new one", to(maxRecent) + other, maxRecent + 1, maxRecent / 2, maxRecent},
		{"a part", to(100), 100, 64, 100},
		{"only a new one", other, 1, 0, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := start(t, manage, func(r *rig) { r.sm.AckTimeout = 0 })
				ana, dan := r.silent("ana", "boat"), r.silent("dan", "x")
				bo, id := r.managed("bo", "pier")
				bo.Send(to(n))
				synctest.Wait()
				bo.Close()
				<-r.fake.detached
				bo, h := r.resume("bo", id, 0)
				if h != "0" {
					t.Errorf("got %s stanzas safe, want none", h)
				}
				bo.Send(tt.again)
				synctest.Wait()
				if err := ana.Acked(n); err != nil {
					t.Fatal(err)
				}
				bo.Send(smRequest)
				time.Sleep(2 * lateAnswer)
				if got := highestAck(t, bo.last()); got < tt.from || got > tt.to {
					t.Errorf("got %d stanzas safe, want %d to %d", got, tt.from, tt.to)
				}
				if err := ana.Acked(uint32(n + ana.Load().Unacked)); err != nil {
					t.Fatal(err)
				}
				if err := dan.Acked(uint32(dan.Load().Unacked)); err != nil {
					t.Fatal(err)
				}
				bo.Send(smRequest)
				bo.Expect(smAck(tt.all + 1)) // with that of last
			})
		})
	}
}

// TestUnaskedAcksAfterGap checks that a client that asks for nothing still hears
// of what is safe when it has sent more than is remembered.
func TestUnaskedAcksAfterGap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 2 * maxRecent
		r := start(t, manage, func(r *rig) { r.sm.AckTimeout = 0 })
		ana := r.silent("ana", "boat")
		bo, _ := r.managed("bo", "pier")
		bo.Send(messagesTo("ana@one.test/boat", 0, n))
		synctest.Wait()
		if got := r.fake.sink("bo@one.test/pier").(*session).m.recent; len(got) > maxRecent {
			t.Errorf("%d stanzas are known, want at most %d", len(got), maxRecent)
		}
		if err := ana.Acked(n); err != nil {
			t.Fatal(err)
		}
		bo.Expect(smAck(n))
	})
}
