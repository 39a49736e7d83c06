package s2s

import (
	"sync/atomic"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/xmppstream"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// transport is that of a stream which ends when nothing has passed on it for a
// while; white space, by which servers show that they are there, does. The read
// deadline ends it. It is moved only now and then, so that a stream costs no timer
// that is set for each element.
// See RFC 6120, sections 4.6.1 and 4.6.3.
type transport struct {
	*xmppstream.TCP
	timeout atomic.Int64 // in nanoseconds; 0: none
	moved   atomic.Int64 // when the deadline was moved, Unix time in nanoseconds
}

// slack is which part of the timeout a stream may be idle beyond it.
const slack = 64

// expire ends reads when nothing has passed for d, or up to a 64th more. 0
// means never.
func (t *transport) expire(d time.Duration) error {
	t.timeout.Store(int64(d))
	if d <= 0 {
		return t.SetReadDeadline(time.Time{})
	}
	return t.move(time.Now(), d)
}

func (t *transport) move(now time.Time, d time.Duration) error {
	t.moved.Store(now.UnixNano())
	return t.SetReadDeadline(now.Add(d + d/slack))
}

// passed notes that something has passed. It is called for all that is read.
func (t *transport) passed() {
	d := time.Duration(t.timeout.Load())
	if d <= 0 {
		return
	}
	if now := time.Now(); now.UnixNano()-t.moved.Load() >= int64(d/slack) {
		_ = t.move(now, d) // if that fails, Read does
	}
}

// Write implements stanza.Transport.
func (t *transport) Write(b stanza.Batch) error {
	t.passed()
	return t.TCP.Write(b)
}
