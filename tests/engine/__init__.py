"""The engine alone: real ffmpeg, no Django."""
