package boltstore

import (
	"context"
	"runtime"
	"sync"
	"time"
)

// op is an operation that changes something.
type op struct {
	// apply makes the change, or returns a refusal and has changed nothing. It
	// runs again, in another transaction, when the first was rolled back.
	apply func(*batch) error
	// done hears the outcome in the goroutine of the callbacks; may be nil.
	done func(error)
	// wait gets the outcome if it is not nil; it has room for it.
	wait chan error

	size int   // about the bytes that it holds
	err  error // the outcome
}

// opSize is what an operation takes besides its keys and values.
const opSize = 256

// patience is how long an operation waits for room in the queue: longer, and
// the disk is not slow but stuck.
const patience = 10 * time.Second

// queue holds the operations until the writer takes them, and counts them until
// they have ended. Of a full queue callers wait.
type queue struct {
	maxOps, maxBytes int // 0: no bound

	mu     sync.Mutex
	ops    []*op
	count  int // of those that have not ended
	bytes  int
	closed bool
	freed  chan struct{} // closed when there is room; nil: nobody waits
	ready  chan struct{} // wakes the writer; capacity 1
}

func newQueue(maxOps, maxBytes int) *queue {
	return &queue{maxOps: maxOps, maxBytes: maxBytes, ready: make(chan struct{}, 1)}
}

// put queues an operation and waits for room: until ctx ends, or for patience.
func (q *queue) put(ctx context.Context, o *op) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	var timeout <-chan time.Time
	for {
		room, err := q.offer(o)
		if room == nil {
			return err
		}
		if timeout == nil {
			t := time.NewTimer(patience)
			defer t.Stop()
			timeout = t.C
		}
		select {
		case <-room:
		case <-ctx.Done():
			return ctx.Err()
		case <-timeout:
			return ErrBusy
		}
	}
}

// offer queues an operation, or returns what will be closed when there may be
// room. An empty queue takes an operation of any size.
func (q *queue) offer(o *op) (room <-chan struct{}, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return nil, ErrClosed
	}
	if q.count > 0 && (exceeds(q.count+1, q.maxOps) || exceeds(q.bytes+o.size, q.maxBytes)) {
		if q.freed == nil {
			q.freed = make(chan struct{})
		}
		return q.freed, nil
	}
	q.count++
	q.bytes += o.size
	q.ops = append(q.ops, o)
	q.wake()
	return nil, nil
}

func exceeds(n, bound int) bool { return bound > 0 && n > bound }

// wake tells the writer to look. The caller holds mu.
func (q *queue) wake() {
	select {
	case q.ready <- struct{}{}:
	default:
	}
}

// wait blocks until something is queued, and a little longer while more comes:
// who has waited for the last commit is about to be back, and a batch of all
// commits as fast as one of a few. It returns false when the queue is closed and
// empty.
func (q *queue) wait() bool {
	for q.waiting() == 0 {
		q.mu.Lock()
		end := q.closed && len(q.ops) == 0
		q.mu.Unlock()
		if end {
			return false
		}
		<-q.ready
	}
	n := 0
	for range maxYields {
		runtime.Gosched()
		now := q.waiting()
		if now == n {
			break
		}
		n = now
	}
	return true
}

// maxYields is how often the writer lets others go first. Each takes less than a
// microsecond when there is nobody.
const maxYields = 16

func (q *queue) waiting() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.ops)
}

// take appends what is queued to dst: at least one operation if there is any, at
// most maxOps and about maxBytes (0: no bound).
func (q *queue) take(dst []*op, maxOps, maxBytes int) []*op {
	q.mu.Lock()
	defer q.mu.Unlock()
	n, bytes := 0, 0
	for _, o := range q.ops {
		if n > 0 && (exceeds(n+1, maxOps) || exceeds(bytes+o.size, maxBytes)) {
			break
		}
		n++
		bytes += o.size
	}
	dst = append(dst, q.ops[:n]...)
	rest := copy(q.ops, q.ops[n:])
	clear(q.ops[rest:])
	q.ops = q.ops[:rest]
	return dst
}

// ended says that operations of these sizes need no room any more.
func (q *queue) ended(count, bytes int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.count -= count
	q.bytes -= bytes
	if q.freed != nil {
		close(q.freed)
		q.freed = nil
	}
}

// close lets nothing more in.
func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.wake()
	if q.freed != nil {
		close(q.freed)
		q.freed = nil
	}
}

// load returns how much has not ended.
func (q *queue) load() (count, bytes int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.count, q.bytes
}

// callbacks calls what the committed operations want called, in their order, in
// a goroutine of its own: what is called may be slow or wait for the store, and
// commits go on. The queue's bounds count an operation until then.
type callbacks struct {
	queue  *queue
	mu     sync.Mutex
	ops    []*op
	closed bool
	ready  chan struct{} // capacity 1
	ended  chan struct{} // closed by run
}

func newCallbacks(q *queue) *callbacks {
	return &callbacks{queue: q, ready: make(chan struct{}, 1), ended: make(chan struct{})}
}

func (c *callbacks) add(ops []*op) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ops = append(c.ops, ops...)
	c.wake()
}

// close lets run end when all has been called.
func (c *callbacks) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	c.wake()
}

// wake tells run to look. The caller holds mu.
func (c *callbacks) wake() {
	select {
	case c.ready <- struct{}{}:
	default:
	}
}

// run calls until close. Room is given back in portions, because each wakes
// whoever waits.
func (c *callbacks) run() {
	defer close(c.ended)
	var ops []*op
	for {
		c.mu.Lock()
		ops, c.ops = c.ops, ops[:0]
		closed := c.closed
		c.mu.Unlock()
		if len(ops) == 0 {
			if closed {
				return
			}
			<-c.ready
			continue
		}
		count, bytes := 0, 0
		for i, o := range ops {
			o.done(o.err)
			ops[i] = nil
			count++
			bytes += o.size
			if count == 64 {
				c.queue.ended(count, bytes)
				count, bytes = 0, 0
			}
		}
		c.queue.ended(count, bytes)
	}
}
