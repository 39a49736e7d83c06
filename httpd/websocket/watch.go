package websocket

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/wsock"
)

// watch looks after a client that is silent. It has one timer.
type watch struct {
	conn     *wsock.Conn
	interval time.Duration // 0: no pings
	timeout  time.Duration
	last     atomic.Int64 // when something came, in nanoseconds since began
	fresh    atomic.Bool  // something came since look looked
	deaf     atomic.Bool  // nobody reads: who speaks is not heard
	began    time.Time
	hears    func()

	mu      sync.Mutex
	timer   *time.Timer // nil: it is over
	asked   bool        // a ping was sent and nothing came since
	running sync.WaitGroup
}

func newWatch(conn *wsock.Conn, set *settings) *watch {
	w := &watch{conn: conn, interval: set.PingInterval, timeout: set.Timeout, began: time.Now()}
	w.hears = w.heard // once: each method value is an allocation
	if first := w.next(0); first > 0 {
		w.running.Add(1)
		w.timer = time.AfterFunc(first, w.look)
	}
	return w
}

// heard notes that something came.
func (w *watch) heard() {
	w.last.Store(int64(time.Since(w.began)))
	w.fresh.Store(true)
}

// next returns how long to wait, after a silence, until something is to be done; 0 for
// ever.
func (w *watch) next(silent time.Duration) time.Duration {
	wait := time.Duration(0)
	if w.timeout > 0 {
		wait = max(w.timeout-silent, 1)
	}
	if w.interval > 0 {
		due := w.interval
		if silent < w.interval {
			due -= silent
		}
		if wait == 0 || due < wait {
			wait = due
		}
	}
	return wait
}

// look asks a silent client, or ends its connection.
func (w *watch) look() {
	defer w.running.Done()
	if w.deaf.Load() {
		w.heard()
	}
	silent := time.Since(w.began) - time.Duration(w.last.Load())
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.timer == nil {
		return
	}
	if w.fresh.Swap(false) {
		w.asked = false
	}
	switch {
	case w.timeout > 0 && silent >= w.timeout, w.asked:
		w.conn.Cut()
		return
	case w.interval > 0 && silent >= w.interval:
		w.asked = true
		w.conn.Ping()
	}
	w.running.Add(1)
	w.timer.Reset(w.next(silent))
}

// stop ends the watch.
func (w *watch) stop() {
	w.mu.Lock()
	if w.timer != nil && w.timer.Stop() {
		w.running.Done()
	}
	w.timer = nil
	w.mu.Unlock()
	w.running.Wait()
}
