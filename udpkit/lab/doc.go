// Package lab sets up and starts JupyterLab with the GoNB kernel and this repository's notebooks:
// one command to everything.
//
// [Setup] puts what is missing into the user's cache directory: the kernel at the version that
// go.mod pins, goimports, gopls, and a Python environment with pinned and hashed JupyterLab
// requirements. The user's own Jupyter settings are neither read nor written. [Run] starts
// JupyterLab on it and opens the index, from which one click opens a server's notebook beside its
// clients', each with a kernel of its own; the kernels share one gopls. It works on copies of the
// notebooks, in my-notebooks beside them, of which git sees nothing: each start renews those that
// nobody has edited. Whoever writes the lessons opens those in notebooks. [Check] runs a server and
// three clients headless and reports whether every message arrived.
//
// All of them work in a checkout of the repository. Outside one, a program that was installed at a
// version copies the module of that version to udp-notebooks in Config.Dir first, and never changes
// a copy that is there.
//
// It needs Go, Python 3.10 or later, and the network once. It does not work on Windows itself,
// because the GoNB kernel does not: use WSL or Docker there.
package lab
