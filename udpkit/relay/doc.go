// Package relay carries messages from writers to readers over UDP.
package relay
