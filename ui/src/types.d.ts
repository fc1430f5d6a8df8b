// What the bundler understands beyond TypeScript.

declare module "*.svg" {
  const url: string;
  export default url;
}

declare module "*.css";
