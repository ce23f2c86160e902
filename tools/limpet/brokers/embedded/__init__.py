"""The embedded broker: amqtt behind TLS, where every client has a certificate and its name."""
