"""LoRa modems on a serial port."""

from edgestream_connectors.lora_serial.source import LoraSerial

__all__ = ["LoraSerial"]
