// Package deptest holds the rules of who may import whom, and of what stands at
// the top of the repository. Its test enforces them; there is no code to call.
package deptest
