package blocking

import (
	"fmt"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// Options of blocking; the names in the tags are those of mod_blocking. Start
// from Defaults.
type Options struct {
	// MaxItems is how many addresses an account may block; one more gives the
	// error resource-constraint. ejabberd has no such option. Default: 1000.
	MaxItems int `conf:"max_items,count=10000"`

	// MaxBytes is how many bytes these addresses may have together; more gives
	// the error resource-constraint. ejabberd has no such option. Default:
	// DefaultMaxBytes, which is also what less than 1 means.
	MaxBytes int `conf:"max_bytes,size"`
}

// DefaultMaxBytes is how many bytes the addresses that an account blocks may have
// by default: 128 KiB.
const DefaultMaxBytes = 128 << 10

// Defaults returns the options of a mod_blocking that configures nothing.
func Defaults() Options { return Options{MaxItems: 1000, MaxBytes: DefaultMaxBytes} }

// admits returns resource-constraint for a list that is too long.
func (o *Options) admits(blocked []stanza.JID) error {
	limit := o.MaxBytes
	if limit < 1 {
		limit = DefaultMaxBytes
	}
	if o.MaxItems > 0 && len(blocked) > o.MaxItems || bytesOf(blocked) > limit {
		text := fmt.Sprintf("the list is limited to %d items of together %d bytes", o.MaxItems, limit)
		return &stanza.Error{Condition: stanza.ResourceConstraint, Text: text}
	}
	return nil
}

// bytesOf returns how many bytes addresses have.
func bytesOf(list []stanza.JID) (n int) {
	for _, j := range list {
		n += len(j.String())
	}
	return n
}
