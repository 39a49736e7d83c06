package stun

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/netserve"
	"github.com/tidewaiter/tidewaiter/stun/internal/datagram"
)

// maxQueue is how many bytes may wait for a client that does not read: more relayed
// data is dropped, and another answer ends the connection.
const maxQueue = 128 << 10

// outgoing is what goes to the client of a stream, in order. Whoever has something to
// write does so, or leaves it in the queue while somebody else writes.
type outgoing struct {
	s       *stream
	running sync.WaitGroup // a goroutine that writes the queue

	mu      sync.Mutex
	queue   *queue // nil: it is empty
	writing bool
	why     error // nothing is written any more
}

// queue has bytes of one stream.
type queue struct{ b []byte }

var queues = sync.Pool{New: func() any { return new(queue) }}

var errUnread = errors.New("client does not read")

func (o *outgoing) begin(s *stream) { o.s = s }

// wait waits for the goroutine, once the connection has ended.
func (o *outgoing) wait() {
	o.end(nil)
	o.running.Wait()
}

// reason returns why nothing more could be written; nil: it could.
func (o *outgoing) reason() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.why
}

// end says that nothing is written any more.
func (o *outgoing) end(why error) {
	o.mu.Lock()
	if o.why == nil {
		o.why = why
	}
	if o.why == nil {
		o.why = errEnded
	}
	o.mu.Unlock()
	o.s.cut()
}

var errEnded = errors.New("connection has ended")

// send implements client: it is for what may be lost.
func (s *stream) send(_ *datagram.Outbox, message []byte) bool { return s.out.add(message) }

// add queues a message if there is room, and never blocks.
func (o *outgoing) add(message []byte) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.why != nil || !o.push(message) {
		return false
	}
	if !o.writing {
		o.writing = true
		o.running.Go(o.run)
	}
	return true
}

// push says whether there is room in the queue. o is locked.
func (o *outgoing) push(b []byte) bool {
	if o.queue == nil {
		o.queue = queues.Get().(*queue)
	}
	if len(o.queue.b)+len(b) > maxQueue {
		return false
	}
	o.queue.b = append(o.queue.b, b...)
	return true
}

// answer writes answers, now if nobody else writes. It is for the goroutine that
// reads, which thus goes no faster than its client.
func (o *outgoing) answer(b []byte) {
	o.mu.Lock()
	if o.why != nil {
		o.mu.Unlock()
		return
	}
	if o.writing {
		ok := o.push(b)
		o.mu.Unlock()
		if !ok {
			o.end(errUnread)
		}
		return
	}
	o.writing = true
	o.mu.Unlock()
	o.write(b)
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.writing = o.queue != nil && o.why == nil; o.writing {
		o.running.Go(o.run)
	}
}

// notify is add for what must not be lost.
func (o *outgoing) notify(message []byte) {
	if !o.add(message) {
		o.end(errUnread)
	}
}

// run writes the queue until it is empty.
func (o *outgoing) run() {
	err := netserve.Guard(func() error {
		for {
			q := o.next()
			if q == nil {
				return nil
			}
			o.write(q.b)
			q.b = q.b[:0]
			queues.Put(q)
		}
	})
	if err != nil {
		o.s.l.failed(err, o.s.addr)
		o.end(err)
	}
}

// next takes what is queued; nil: nothing is, and nobody writes any more.
func (o *outgoing) next() *queue {
	o.mu.Lock()
	defer o.mu.Unlock()
	q := o.queue
	if o.queue = nil; q == nil || o.why != nil {
		o.writing = false
		return nil
	}
	return q
}

// write writes to the connection. It is for whoever has set o.writing.
func (o *outgoing) write(b []byte) {
	if d := o.s.l.set.Load().SendTimeout; d > 0 {
		_ = o.s.conn.SetWriteDeadline(time.Now().Add(d))
	}
	if _, err := o.s.conn.Write(b); err != nil {
		o.end(fmt.Errorf("writing to the client: %w", err))
	}
}
