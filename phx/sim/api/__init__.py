"""How clients reach the venue: REST, streams and the WS-API, request by request."""
