package shaper

import (
	"fmt"

	"github.com/tidewaiter/tidewaiter/acl"
)

// Rate is how fast a peer is read. The zero Rate is unlimited.
type Rate struct {
	BytesPerSecond int64 // 0: unlimited
	Burst          int64 // bytes that may come at once; 0: BytesPerSecond
}

// String returns the rate for people.
func (r Rate) String() string {
	r = r.effective()
	switch {
	case r == Rate{}:
		return "none"
	case r.Burst == r.BytesPerSecond:
		return fmt.Sprintf("%d B/s", r.BytesPerSecond)
	}
	return fmt.Sprintf("%d B/s, burst %d B", r.BytesPerSecond, r.Burst)
}

// effective returns the rate with its defaults filled in: both fields are
// positive, or the rate is zero.
func (r Rate) effective() Rate {
	if r.BytesPerSecond <= 0 {
		return Rate{}
	}
	if r.Burst <= 0 {
		r.Burst = r.BytesPerSecond
	}
	return r
}

// Rule is a shaper rule: it picks a rate or a number for a subject.
// Implementations do not block and are safe for concurrent use. Where an
// Options field of this type is nil, there is no limit.
type Rule interface {
	// Rate is what the rule says as a traffic shaper.
	Rate(acl.Subject) Rate
	// Limit is what a rule of numbers says, such as max_user_sessions; ok is
	// false when it says nothing or infinity.
	Limit(acl.Subject) (n int, ok bool)
}

// Fixed returns the rule that gives everybody the same rate, and its
// BytesPerSecond as the number. Rules of equal rates are equal.
func Fixed(r Rate) Rule { return fixed(r.effective()) }

type fixed Rate

func (f fixed) Rate(acl.Subject) Rate { return Rate(f) }

func (f fixed) Limit(acl.Subject) (n int, ok bool) {
	return Number(f.BytesPerSecond).limit()
}

func (f fixed) String() string { return Rate(f).String() }
