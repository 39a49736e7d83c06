// Package private keeps XML for the clients of an account (XEP-0049, version
// 1.2).
package private

// NS is the namespace of the requests, whose element is query.
const NS = "jabber:iq:private"
