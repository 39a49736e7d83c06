package bosh

import (
	"sync"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/xmlstream"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
	"github.com/tidewaiter/tidewaiter/shaper"
)

// Bounds of a session. Besides, a request is bounded by what a stanza is.
const (
	maxWait = 300 * time.Second
	maxHold = 1
	polling = 2 * time.Second // between two requests that say nothing

	maxElements = 1000      // in one request
	maxInbound  = 64 << 10  // bytes that were received and not read, if not of one request
	maxCached   = 512 << 10 // bytes of answers that may be asked for again, if not of one
	maxUnacked  = 16        // answers that are kept for a client that acknowledges them
	maxRepeats  = 16        // of one request
	itemSize    = 128       // bytes that an element takes besides its own
)

// session is a client's: a stanza.Transport. Its requests are numbered; those up to top
// have been received, those up to processed taken, those up to answered answered.
type session struct {
	h         *Handler
	sid       string
	to, lang  string // of the first stream
	version   string
	ver       string // of BOSH
	legacy    bool   // the client does not know conditions
	acks      bool   // it wants acknowledgements
	peer      stanza.Peer
	mediaType []string // of answers
	prebinds  bool     // it begins logged in
	own       bool     // Shutdown waits for it
	grown     bool     // guarded by h.mu

	wait                 time.Duration
	hold                 int
	requests             int64
	inactivity, maxPause time.Duration
	maxConcat            int // 0: no bound

	parsing sync.Mutex
	jids    stanza.JIDCache // guarded by parsing

	mu     sync.Mutex // guards what follows, never held during I/O
	limits xmlstream.Limits
	keys   keys

	top, processed, answered int64
	acked                    int64      // answers up to this one have come to the client
	early                    []*request // received and not yet taken
	held                     []*request // taken and not yet answered, in their order
	cache                    []*answer  // the last ones, in their order
	prev                     poll       // the last new request

	here     int           // requests whose handlers have something to do, but for those too early
	since    time.Time     // here has been 0
	patience time.Duration // how long it may be
	release  int64         // requests up to this one are answered at once
	report   report

	prebind prebinding
	jid     string // that it was bound to, in prebind

	created bool           // the first answer was made
	opening *stanza.Header // to be announced with the next answer
	opened  bool           // a header was

	inbox    inbox
	outbox   outbox
	leaving  bool // the client has ended the session
	closing  bool // Close was called
	closeBy  time.Time
	bye      *answer // that ends the session
	byeTaken bool
	over     bool
	err      error // why it is over
	closed   chan struct{}
	closeErr error

	timer   *time.Timer
	timerAt time.Time // zero: it is not running
	ticks   sync.WaitGroup
}

// inbox is what c2s reads.
type inbox struct {
	sync.Cond
	queue   []item
	bytes   int
	waiting bool
	by      time.Time // deadline
	pace    time.Time // not before
	bucket  shaper.Bucket
	opens   int
	err     error // once all was read
	drained bool  // it was, and err too
}

// poll is what is remembered of a request.
type poll struct {
	rid   int64
	at    time.Time
	empty bool
	paid  bool // the answer had payload
}

// end says why nothing more comes.
func (i *inbox) end(err error) {
	if i.err == nil {
		i.err = err
	}
	i.Broadcast()
}
