package offline

import (
	"github.com/tidewaiter/tidewaiter/acl"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
	"github.com/tidewaiter/tidewaiter/shaper"
)

// Options of offline messages; the names in the tags are those of mod_offline.
// Start from Defaults.
type Options struct {
	// AccessMaxUserMessages says how many messages an account may have. For a
	// further one the sender gets an error. Default: nil, what
	// MaxUserOfflineMessages says. Where the rule says nothing, or infinity, the
	// limit is DefaultLimit.
	AccessMaxUserMessages shaper.Rule `conf:"access_max_user_messages"`

	// MaxUserOfflineMessages is the shaper rule with this name. Default: nil, the
	// limit is DefaultLimit.
	MaxUserOfflineMessages shaper.Rule `conf:"max_user_offline_messages,rule"`

	// MaxBytes is how many bytes of XML the messages of an account may have
	// together. For one that goes beyond, the sender gets an error. ejabberd has
	// no such option. Default: DefaultMaxBytes, which is also what less than 1
	// means.
	MaxBytes int `conf:"max_bytes,size"`

	// StoreEmptyBody says whether messages without a body are kept: true, false
	// or unless_chat_state, which leaves out those that have nothing but a chat
	// state (XEP-0085). Default: unless_chat_state.
	StoreEmptyBody string `conf:"store_empty_body,enum=true|false|unless_chat_state"`

	// StoreGroupchat keeps messages of type groupchat, too. Otherwise their
	// sender gets an error. Default: false.
	StoreGroupchat bool `conf:"store_groupchat"`

	// BounceGroupchat tells the sender of a message of type groupchat that was to
	// be kept and could not, because the account has too many. Default: false.
	BounceGroupchat bool `conf:"bounce_groupchat"`
}

// DefaultLimit is how many messages an account may have where no rule sets a
// number. It is finite, because anybody may send them.
const DefaultLimit = 1000

// DefaultMaxBytes is how many bytes the messages of an account may have by
// default: 16 MiB.
const DefaultMaxBytes = 16 << 20

const unlessChatState = "unless_chat_state"

// Defaults returns the options of a mod_offline that configures nothing.
func Defaults() Options {
	return Options{MaxBytes: DefaultMaxBytes, StoreEmptyBody: unlessChatState}
}

// limits returns what an account may have; 0 messages are none, and not what the
// store takes it for.
func (o *Options) limits(user stanza.JID) Limits {
	l := Limits{Messages: o.maxMessages(user), Bytes: o.MaxBytes}
	if l.Bytes < 1 {
		l.Bytes = DefaultMaxBytes
	}
	return l
}

// maxMessages returns how many messages an account may have.
func (o *Options) maxMessages(user stanza.JID) int {
	rule := o.AccessMaxUserMessages
	if rule == nil {
		rule = o.MaxUserOfflineMessages
	}
	if rule == nil {
		return DefaultLimit
	}
	n, ok := rule.Limit(acl.Subject{User: user.Local(), Server: user.Domain(), Host: user.Domain()})
	if !ok {
		return DefaultLimit
	}
	return max(n, 0)
}
