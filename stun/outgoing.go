package stun

import (
	"errors"
	"os"
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

// wait ends what is being written, and waits for the goroutine.
func (o *outgoing) wait() {
	o.stop(errEnded)
	o.mu.Lock()
	_ = o.s.conn.SetWriteDeadline(time.Unix(1, 0))
	o.mu.Unlock()
	o.running.Wait()
}

// reason returns why nothing more was written; nil: there was nothing to it.
func (o *outgoing) reason() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.why == errEnded {
		return nil
	}
	return o.why
}

// end ends the connection.
func (o *outgoing) end(why error) {
	o.stop(why)
	o.s.cut()
}

// stop says that nothing is written any more.
func (o *outgoing) stop(why error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.why == nil {
		o.why = why
	}
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
	if !o.mayWrite() {
		return
	}
	switch _, err := o.s.conn.Write(b); {
	case errors.Is(err, os.ErrDeadlineExceeded):
		o.end(errUnread)
	case err != nil:
		o.end(errEnded)
	}
}

// mayWrite sets the time for a write, unless there is to be none: then wait has set it.
func (o *outgoing) mayWrite() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if d := o.s.l.set.Load().SendTimeout; d > 0 && o.why == nil {
		_ = o.s.conn.SetWriteDeadline(time.Now().Add(d))
	}
	return o.why == nil
}
