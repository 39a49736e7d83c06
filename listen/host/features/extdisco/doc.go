// Package extdisco tells clients which STUN and TURN servers there are, and gives
// them credentials for these (XEP-0215).
//
// The credentials are good for a while, and nobody stores them: the user name
// begins with the Unix time at which they expire, and the password is the base64
// form of HMAC-SHA1(secret, user name). Every TURN server that has the secret can
// check that, coturn with its option static-auth-secret for one. What follows the
// time is the same for all credentials of a user, so that a server can count what
// a user has, and does not tell who it is to those without the secret.
package extdisco
