import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

// The books have no CORS of their own: the page finds them below its own origin, as it would behind a proxy.
export default defineConfig({
  plugins: [react()],
  server: {
    proxy: {
      "/api": { target: process.env.BOOKS_URL ?? "http://127.0.0.1:8090", rewrite: (path) => path.slice("/api".length) || "/" },
    },
  },
});
