package xmpp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/load/crowd"
)

const nsSM = "urn:xmpp:sm:3"

// management is what a client knows of its managed stream (XEP-0198).
type management struct {
	received uint32 // stanzas handled; the reader's

	sent  uint32 // stanzas since <enable/>; guarded by Client.mu
	every int    // stanzas after which an acknowledgement is asked for; 0: never
	since int    // stanzas sent after the last request; guarded by Client.mu
	asked int64  // requests; guarded by Client.mu

	heard atomic.Int64   // answers
	acked atomic.Uint32  // the last h of the server
	wrong atomic.Int64   // h that went back, or beyond what was sent
	onAck func(h uint32) // runs in the reader; may be nil
}

// errHandled says that an element was one of stream management.
var errHandled = errors.New("handled")

var (
	requestStart = []byte("<r ")
	requestEmpty = []byte("<r/")
	answerStart  = []byte("<a ")
)

// manage counts stanzas, answers requests for acknowledgement and notes the
// server's. It returns errHandled if el was of this kind.
func (c *Client) manage(el []byte) error {
	switch {
	case bytes.HasPrefix(el, messageStart), bytes.HasPrefix(el, []byte("<presence")), bytes.HasPrefix(el, []byte("<iq")):
		c.sm.received++
		return nil
	case bytes.HasPrefix(el, requestStart), bytes.HasPrefix(el, requestEmpty):
		c.begin()
		c.out = appendAck(c.out, c.sm.received)
		if err := c.flush(); err != nil {
			return err
		}
		return errHandled
	case bytes.HasPrefix(el, answerStart):
		h := number(attribute(el, " h="))
		if h < 0 || h > 1<<32-1 {
			return fmt.Errorf("acknowledgement without h: %.100s", el)
		}
		c.acknowledged(uint32(h))
		return errHandled
	}
	return nil
}

// acknowledged notes an h of the server: it must lie between the last one and
// what was sent, modulo 2^32.
func (c *Client) acknowledged(h uint32) {
	c.mu.Lock()
	sent := c.sm.sent
	c.mu.Unlock()
	if last := c.sm.acked.Load(); h-last > sent-last {
		c.sm.wrong.Add(1)
	}
	c.sm.acked.Store(h)
	c.sm.heard.Add(1)
	if c.sm.onAck != nil {
		c.sm.onAck(h)
	}
}

func appendAck(dst []byte, h uint32) []byte {
	dst = append(dst, "<a xmlns='"+nsSM+"' h='"...)
	dst = strconv.AppendUint(dst, uint64(h), 10)
	return append(dst, "'/>"...)
}

// count notes that a stanza was appended to c.out, and asks for an
// acknowledgement when it is time. The caller has the turn to write.
func (c *Client) count() {
	if c.sm == nil {
		return
	}
	c.sm.sent++
	c.sm.since++
	if c.sm.every > 0 && c.sm.since >= c.sm.every {
		c.ask()
	}
}

// ask asks for an acknowledgement. The caller has the turn to write.
func (c *Client) ask() {
	c.sm.since = 0
	c.sm.asked++
	c.out = append(c.out, "<r xmlns='"+nsSM+"'/>"...)
}

// enable turns stream management on, before the first presence.
func (c *Client) enable(features []byte, every int) error {
	if !bytes.Contains(features, []byte(nsSM)) {
		return fmt.Errorf("stream management: %w", ErrNotOffered)
	}
	if err := c.send("<enable xmlns='" + nsSM + "'/>"); err != nil {
		return err
	}
	if _, err := c.expect("enabled"); err != nil {
		return err
	}
	c.sm = &management{every: every}
	return nil
}

// settle asks for the last acknowledgement and waits until the server has
// acknowledged everything. Somebody must be reading the stream. It returns how
// often the server was wrong.
func (c *Client) settle(ctx context.Context, timeout time.Duration) int64 {
	c.begin()
	c.ask()
	sent, asked := c.sm.sent, c.sm.asked
	if err := c.flush(); err != nil {
		return c.sm.wrong.Load() + 1
	}
	const pause = 5 * time.Millisecond
	for waited := time.Duration(0); c.sm.acked.Load() != sent; waited += pause {
		if waited >= timeout || crowd.Sleep(ctx, pause) != nil {
			return c.sm.wrong.Load() + 1
		}
	}
	// A server may answer several requests at once. One that does not might
	// still say something else.
	for waited := time.Duration(0); waited < tail && c.sm.heard.Load() < asked; waited += pause {
		if crowd.Sleep(ctx, pause) != nil {
			break
		}
	}
	if c.sm.acked.Load() != sent {
		return c.sm.wrong.Load() + 1
	}
	return c.sm.wrong.Load()
}

// tail is how long answers are waited for that need not come.
const tail = 100 * time.Millisecond
