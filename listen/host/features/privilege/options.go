package privilege

import "github.com/tidewaiter/tidewaiter/acl"

// Options of privileges, each with the components that have it; the names in the
// tags are those of mod_privilege. The access rules are asked with the domain of a
// component as acl.Subject.Server; nil: none. Start from Defaults.
type Options struct {
	// Roster is for the rosters of users. Default: none.
	Roster Requests `conf:"roster"`

	// IQ is for requests in the name of users, by the namespace of the payload.
	// Default: none.
	IQ map[string]Requests `conf:"iq"`

	// Message is for messages in the name of the server and of users. Default:
	// none.
	Message Message `conf:"message"`

	// Presence is for the presence of users. Default: none.
	Presence Presence `conf:"presence"`
}

// Requests says who may make those of type get, set, or both.
type Requests struct {
	// Both is for requests of type get and set.
	Both acl.Access `conf:"both"`
	// Get is for those of type get.
	Get acl.Access `conf:"get"`
	// Set is for those of type set.
	Set acl.Access `conf:"set"`
}

// Message says who may send messages.
type Message struct {
	// Outgoing is for messages to anybody.
	Outgoing acl.Access `conf:"outgoing"`
}

// Presence says who hears of it.
type Presence struct {
	// ManagedEntity is for that of the users.
	ManagedEntity acl.Access `conf:"managed_entity"`
	// Roster is for that of the users and of their contacts. It counts as
	// ManagedEntity for a component that may not read the rosters.
	Roster acl.Access `conf:"roster"`
}

// Defaults returns the options of a mod_privilege that configures nothing.
func Defaults() Options { return Options{} }
