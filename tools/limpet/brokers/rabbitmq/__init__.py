"""RabbitMQ as an MQTT broker: its configuration by our rules, and the program itself."""
