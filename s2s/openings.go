package s2s

import (
	"strings"
	"sync"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// maxOpenings is to how many servers a sender may write at once that there is no
// stream to yet: each such search may take minutes.
const maxOpenings = 1000

// openings counts the streams that are being opened for senders here, by bare JID.
type openings struct {
	mu sync.Mutex
	of map[string]int
}

// begin counts one more, if the sender may have one more.
func (o *openings) begin(sender stanza.JID) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	n := o.of[sender.String()]
	if n >= maxOpenings {
		return false
	}
	if o.of == nil {
		o.of = make(map[string]int)
	}
	o.of[strings.Clone(sender.String())] = n + 1
	return true
}

func (o *openings) end(sender stanza.JID) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if n := o.of[sender.String()]; n > 1 {
		o.of[sender.String()] = n - 1
	} else {
		delete(o.of, sender.String())
	}
}
