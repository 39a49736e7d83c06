// Package stun is a listener for STUN and TURN (RFC 8489, RFC 8656, RFC 6062).
package stun
