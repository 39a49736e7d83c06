package bosh

import (
	"fmt"
	"strconv"
	"time"
)

// Options of a virtual host. They are data: they can be printed, compared and read again
// from a file. The names in the tags are those of mod_bosh. Start from Defaults.
type Options struct {
	// MaxConcat is the most elements in one answer. Default: Unlimited.
	MaxConcat Count `conf:"max_concat,number"`

	// MaxInactivity is how long a client may stay away between two requests before its
	// session ends: whole seconds, at least one. Default: 30 s.
	MaxInactivity time.Duration `conf:"max_inactivity"`

	// MaxPause is how long it may stay away if it says so before; a longer pause is cut
	// down to that. Default: 120 s.
	MaxPause time.Duration `conf:"max_pause"`

	// JSON has no effect, as in ejabberd. Default: false.
	JSON bool `conf:"json"`

	// Prebind lets sessions begin logged in, as anonymous users: the answer to the request
	// for one has the client's address for an attribute jid of its body, and no features.
	// The virtual host has to have anonymous users. Default: false.
	Prebind bool `conf:"prebind"`
}

// Defaults returns the options of a mod_bosh that configures nothing.
func Defaults() Options {
	return Options{MaxInactivity: 30 * time.Second, MaxPause: 120 * time.Second}
}

// Count is a number of things, or Unlimited.
type Count int

// Unlimited is no bound: ejabberd's unlimited.
const Unlimited Count = 0

// UnmarshalText reads a positive number, unlimited, infinity or infinite.
func (c *Count) UnmarshalText(text []byte) error {
	switch string(text) {
	case "unlimited", "infinity", "infinite":
		*c = Unlimited
		return nil
	}
	n, err := strconv.Atoi(string(text))
	if err != nil || n < 1 {
		return fmt.Errorf("want a positive number or unlimited, got %q", text)
	}
	*c = Count(n)
	return nil
}

// MarshalText implements encoding.TextMarshaler.
func (c Count) MarshalText() ([]byte, error) {
	if c == Unlimited {
		return []byte("unlimited"), nil
	}
	return strconv.AppendInt(nil, int64(c), 10), nil
}
